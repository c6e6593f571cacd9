// SPDX-License-Identifier: Apache-2.0

import Dispatch
import FileTree
import LXCCore
import LinuxSystem

/// A directory under construction: under a hidden name beside its place, open to its owner alone, renamed when complete.
final class NFSStagedDirectory: Sendable {
    /// The time in seconds that a server has to answer an abandoned writing, before its files are left behind.
    private static let patience = 10.0

    let client: NFSClient
    /// The directory.
    let root: NFSHandle
    private let location: NFSLocation
    private let hiddenName: [UInt8]

    /// Makes the hidden directory.
    ///
    /// - Throws: `LXCError` `alreadyExists` when the place is taken, `permissionDenied`, `io`.
    init(_ location: NFSLocation, _ cancellation: Cancellation) throws {
        client = location.client
        self.location = location
        try Self.refuseTaken(location, cancellation)
        // A name has room for 255 bytes.
        hiddenName = [UInt8(ascii: ".")] + location.name.prefix(220) + Array(".partial-\(RandomName.make())".utf8)
        let call = NFSCall.makeDirectory(hiddenName, in: location.parent, NFSNewAttributes(mode: 0o700))
        switch Self.waitPatiently(for: call, client, cancellation) {
        case .success(.object(let bytes?, _)): root = NFSHandle(bytes: bytes)
        case .success: throw NFSClient.senseless("MKDIR")
        case .failure(let failure): throw failure.error("create a directory beside \"\(location.description)\"")
        }
        if cancellation.isCancelled {
            abandon()
            throw CancellationError()
        }
    }

    /// Waits for the reply also when cancelled, for a while: whether the server has made something would not be known.
    private static func waitPatiently(
        for call: NFSCall, _ client: NFSClient, _ cancellation: Cancellation
    ) -> Result<NFSReply, NFSFailure> {
        let reply = CompletionBox<Result<NFSReply, NFSFailure>>()
        let patience = Cancellation()
        client.submit(call, cancellation: patience) { reply.set($0) }
        var deadline: ContinuousClock.Instant?
        while true {
            if let result = reply.wait(seconds: 0.1) { return result }
            guard cancellation.isCancelled else { continue }
            let end = deadline ?? .now + .seconds(Self.patience)
            deadline = end
            if .now >= end { patience.cancel() }
        }
    }

    /// Gives the directory its name, which must be free. The server has made everything durable before it answers.
    func publish(_ cancellation: Cancellation) throws {
        // NFSv3 has no rename that replaces nothing; the window after this look can only meet an empty directory.
        try Self.refuseTaken(location, cancellation)
        let call = NFSCall.rename(
            hiddenName, in: location.parent, to: location.name, below: location.parent, of: NFSObject(root, nil))
        // Not cancelled: whether the server has executed a rename would be unknown.
        if case .failure(let failure) = client.wait(for: call, cancellation: nil) {
            if failure.status == .exists || failure.status == .notEmpty || failure.status == .notDirectory {
                throw Self.taken(location)
            }
            throw failure.error("put \"\(location.description)\" in its place")
        }
    }

    /// Removes everything, even if it got its name by a call whose answer was lost: the directory is known by its
    /// handle.
    func abandon() {
        // An unreachable server must not delay the report of a failure.
        let patience = Cancellation()
        DispatchQueue.global().asyncAfter(deadline: .now() + Self.patience) { patience.cancel() }
        for name in [hiddenName, location.name] {
            guard (try? client.lookUp(name, in: location.parent, patience))?.handle == root else { continue }
            // A failure here is not reported: the failure that led here is.
            try? NFSRemover(client, nil).remove(name, in: location.parent)
        }
    }

    /// Removes something inside, to replace it.
    func remove(_ name: [UInt8], in directory: NFSHandle, _ cancellation: Cancellation) throws {
        try NFSRemover(client, cancellation).remove(name, in: directory)
    }

    private static func refuseTaken(_ location: NFSLocation, _ cancellation: Cancellation) throws {
        do {
            _ = try location.client.lookUp(location.name, in: location.parent, cancellation)
        } catch let error as LXCError where error.code == .notFound {
            return
        }
        throw taken(location)
    }

    private static func taken(_ location: NFSLocation) -> LXCError {
        LXCError(.alreadyExists, "\"\(location.description)\" is there already; remove it or choose another name")
    }
}
