package import FileTree
import Foundation
import LXCCore

/// A file on an NFS server, read with several calls under way: an archive on a server is unpacked without a copy of it on
/// this host.
package struct NFSFile: StoredFile {
    private enum Place: Sendable {
        case url(NFSURL, NFSClientOptions)
        case client(NFSClient, String)
    }

    private let place: Place

    /// Takes a URL; every reading makes a connection of its own.
    package init(_ url: NFSURL, options: NFSClientOptions = NFSClientOptions()) { place = .url(url, options) }

    /// Takes a path below the directory of a client, whose connection is used.
    package init(_ path: String, in client: NFSClient) { place = .client(client, path) }

    /// The URL without its parameters.
    package var description: String {
        switch place {
        case .url(let url, _): url.place
        case .client(let client, let path): "\(client.url.place)/\(path)"
        }
    }

    package func open() throws -> any OpenStoredFile {
        let (client, found) = try find()
        let attributes = try found.attributes ?? client.attributes(of: found.handle, nil)
        guard attributes.type == .file else { throw LXCError(.invalidArgument, "\(self) is not a regular file") }
        return NFSOpenFile(client, found.handle, attributes)
    }

    private func find() throws -> (NFSClient, NFSObject) {
        switch place {
        case .url(let url, let options):
            let (above, name) = try url.splitName()
            let client = try NFSClient.open(above, options, Cancellation())
            return (client, try client.lookUp(name, in: client.root, nil))
        case .client(let client, let path): return (client, try client.object(at: TreePath(path), nil))
        }
    }
}

/// A file that is read from its beginning to its end, a few MiB ahead. A reader that looks elsewhere begins anew there.
private final class NFSOpenFile: OpenStoredFile, @unchecked Sendable {
    // @unchecked: every access to the variables below holds `condition`.
    private static let ahead = 8 << 20

    let size: UInt64
    let identity: String
    private let client: NFSClient
    private let handle: NFSHandle
    private let condition = NSCondition()
    /// What was asked for and not taken, in sequence.
    private var parts: [Part] = []
    private var failure: NFSFailure?

    private final class Part {
        let offset: UInt64
        let count: Int
        var pieces: [SharedBytes] = []
        var missing: Int

        init(_ offset: UInt64, _ count: Int) {
            self.offset = offset
            self.count = count
            missing = count
        }

        var end: UInt64 { offset + UInt64(count) }
    }

    /// Carries a part, which is used under the lock alone, to the callback that fills it.
    private struct Filled: @unchecked Sendable { let part: Part }

    init(_ client: NFSClient, _ handle: NFSHandle, _ attributes: NFSAttributes) {
        self.client = client
        self.handle = handle
        size = attributes.size
        // As a mount of the export shows it.
        let modified = attributes.modified
        identity = "\(attributes.fileID) \(attributes.size) \(modified.seconds).\(modified.nanoseconds)"
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws -> Int {
        guard offset < size, !buffer.isEmpty else { return 0 }
        return try condition.withLock {
            while let first = parts.first, first.end <= offset { parts.removeFirst() }
            if parts.first.map({ offset < $0.offset }) ?? true { parts = [] }
            request(from: offset)
            while let first = parts.first, first.missing > 0, failure == nil { condition.wait() }
            if let failure { throw failure.error("read \"\(handle)\" on \(client.url.place)") }
            return copy(into: buffer, at: offset)
        }
    }

    /// Copies from the first part, which is complete.
    private func copy(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) -> Int {
        guard let part = parts.first else { return 0 }
        var skipped = Int(offset - part.offset)
        var copied = 0
        for piece in part.pieces {
            let rest = piece.dropFirst(skipped).prefix(buffer.count - copied)
            skipped = max(skipped - piece.count, 0)
            guard !rest.isEmpty else { continue }
            rest.withUnsafeBytes { UnsafeMutableRawBufferPointer(rebasing: buffer[copied...]).copyMemory(from: $0) }
            copied += rest.count
        }
        return copied
    }

    /// Asks for what comes next, up to the window.
    private func request(from offset: UInt64) {
        var next = parts.last?.end ?? offset
        while next < size, next - offset < UInt64(Self.ahead) {
            let part = Part(next, Int(min(UInt64(client.readSize), size - next)))
            parts.append(part)
            next = part.end
            ask(Filled(part: part), part.offset)
        }
    }

    private func ask(_ filled: Filled, _ offset: UInt64) {
        let call = NFSCall.read(handle, offset: offset, count: filled.part.missing)
        client.submit(call, cancellation: nil) { [self] result in
            condition.withLock {
                defer { condition.broadcast() }
                switch result {
                case .success(.data(let bytes, let isEnd)):
                    guard !bytes.isEmpty, bytes.count == filled.part.missing || !isEnd else {
                        failure = .failed(
                            LXCError(.io, "the file \"\(handle)\" became shorter while it was read; try again"))
                        return
                    }
                    filled.part.pieces.append(bytes)
                    filled.part.missing -= bytes.count
                    if filled.part.missing > 0 { ask(filled, offset + UInt64(bytes.count)) }
                case .success: failure = .failed(NFSClient.senseless("READ"))
                case .failure(let error): failure = error
                }
            }
        }
    }
}
