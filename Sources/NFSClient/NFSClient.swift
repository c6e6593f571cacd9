// SPDX-License-Identifier: Apache-2.0

import Dispatch
import FileTree
import Glibc
public import LXCCore

/// A client of an NFS server that has many calls under way at once, without any mount.
///
/// ```swift
/// let client = try await NFSClient.connect(to: NFSURL(parsing: "nfs://filer/export/primary"))
/// let file = try await client.create("note".utf8, in: client.root, .guarded(NFSNewAttributes(mode: 0o644)))
/// try await client.write(SharedBytes(copying: Array("text".utf8)), to: file.handle, at: 0, .file)
/// ```
///
/// Calls of different tasks run concurrently. A call without a reply, because the connection broke or the server was
/// restarted, is resent over a new connection; if the server executed the first one and therefore refuses the second,
/// the call succeeds. A cancelled task gets its `CancellationError` immediately; the server may still execute the call.
///
/// Errors are `LXCError` with an ``NFSError`` as the cause where the server refused, `unavailable` when it cannot be
/// reached, `timedOut` when it does not answer, `corrupt` when its replies make no sense.
public final class NFSClient: Sendable {
    /// The directory the client works in.
    public let url: NFSURL
    /// That directory.
    public let root: NFSHandle
    /// The server's limits.
    public let information: NFSInformation
    /// The directory's attributes when the client connected.
    public let rootAttributes: NFSAttributes

    /// The client's counters.
    public var counters: NFSCounters { counting.counters }
    /// The user in whose name calls are made.
    package var user: UInt32 { url.effectiveUser }

    package let options: NFSClientOptions
    let counting: NFSCounting
    private let transport: any NFSTransport

    private init(
        _ url: NFSURL, _ root: NFSHandle, _ rootAttributes: NFSAttributes, _ information: NFSInformation,
        _ options: NFSClientOptions, _ transport: any NFSTransport, _ counting: NFSCounting
    ) {
        self.url = url
        self.root = root
        self.rootAttributes = rootAttributes
        self.information = information
        self.options = options
        self.transport = transport
        self.counting = counting
    }

    deinit { transport.close() }

    /// Connects to a server and finds the directory of a URL: the export itself, or a directory inside.
    ///
    /// - Throws: `LXCError` `unavailable` when the server cannot be reached, `notFound`, `permissionDenied` when the
    ///   server does not export the directory to this host, `unsupported`; `CancellationError`.
    public static func connect(
        to url: NFSURL, options: NFSClientOptions = NFSClientOptions(), pool: BlockingPool = .shared
    ) async throws -> NFSClient {
        try await pool.run { try open(url, options, $0) }
    }

    /// The time to wait for the server's first answer.
    static let openingLimit = Duration.seconds(10)

    /// The same on a thread that may block.
    package static func open(
        _ url: NFSURL, _ options: NFSClientOptions, _ cancellation: Cancellation
    ) throws -> NFSClient {
        #if NFS
        let endpoint = NFSEndpoint(
            server: url.server, port: url.port, user: url.effectiveUser, group: url.group ?? getegid())
        let counting = NFSCounting()
        let limit = min(options.giveUp, Self.openingLimit)
        let transport: any NFSTransport
        let start: (handle: [UInt8]?, rest: [[UInt8]])
        if url.version == 4 {
            start = (nil, try names(of: url))
            transport = try V4Transport(endpoint, options, counting)
        } else {
            let mount = MountService(url: url, endpoint: endpoint, limit: limit)
            start = try findExport(url, mount, cancellation)
            transport = try NFSConnection(endpoint, V3Wire(), options, counting)
        }
        do {
            let link = SynchronousCalls(transport, cancellation, limit)
            var root = try start.handle.map { NFSHandle(bytes: $0) } ?? link.root(url)
            for name in start.rest { root = try link.lookUp(name, in: root, url) }
            root = NFSHandle(bytes: root.bytes)
            let attributes = try link.attributes(of: root, url)
            guard attributes.type == .directory else {
                throw LXCError(.invalidArgument, "\(url.description.escapedForDisplay) is not a directory")
            }
            return NFSClient(
                url, root, attributes, try link.information(root, url), options, transport, counting)
        } catch {
            transport.close()
            throw error
        }
        #else
        throw LXCError(
            .unsupported,
            "this program was built without NFS; mount \(url.place) and give the directory, or build it with the package "
                + "trait NFS")
        #endif
    }

    private static func names(of url: NFSURL) throws -> [[UInt8]] {
        let names = url.path.utf8.split(separator: UInt8(ascii: "/")).map(Array.init)
        guard !names.contains(where: { $0 == [46] || $0 == [46, 46] }) else {
            throw LXCError(.invalidArgument, "\(url.description.escapedForDisplay) has \".\" or \"..\" in its path")
        }
        return names
    }

    #if NFS
    /// The longest exported part of the path, and the names of the rest. Servers mount directories inside an export too,
    /// but need not.
    private static func findExport(
        _ url: NFSURL, _ mount: MountService, _ cancellation: Cancellation
    ) throws -> (handle: [UInt8]?, rest: [[UInt8]]) {
        let names = try names(of: url)
        var refusal: LXCError?
        for count in stride(from: names.count, through: 0, by: -1) {
            let path = [UInt8(ascii: "/")] + names[..<count].joined(separator: [UInt8(ascii: "/")])
            switch try mount.handle(of: path, cancellation: cancellation) {
            case .handle(let handle): return (handle, Array(names[count...]))
            case .refused(let error): refusal = refusal ?? error
            }
        }
        throw refusal ?? LXCError(.notFound, "\(url.description.escapedForDisplay) is not exported")
    }
    #endif

    /// Fails the calls in flight and ends the connection. Later calls fail.
    public func close() { transport.close() }

    // MARK: Calls

    /// Sends a call and returns immediately; `completion` is called once, on the connection's thread, where it may
    /// submit more but must not block. A resent call counts once. `since` is the time when its caller began to wait.
    func submit(
        _ call: NFSCall, cancellation: Cancellation?, since start: ContinuousClock.Instant = .now,
        completion: @escaping @Sendable (Result<NFSReply, NFSFailure>) -> Void
    ) {
        transport.submit(call, cancellation: cancellation) { [giveUp = options.giveUp] outcome in
            guard let recovery = NFSRecovery(call, outcome) else { return completion(outcome.result) }
            if case .failure(.unanswered) = outcome.result, ContinuousClock.now - start >= giveUp {
                return completion(outcome.result)
            }
            recovery.run(
                { self.submit($0, cancellation: cancellation, since: start, completion: $1) }, completion)
        }
    }

    /// Sends a call and waits for the reply, on a thread that may block.
    func wait(for call: NFSCall, cancellation: Cancellation?) -> Result<NFSReply, NFSFailure> {
        waitForCompletion { submit(call, cancellation: cancellation, completion: $0) }
    }

    /// Sends a call and awaits the reply; `doing` says in an error what for.
    func perform(_ call: NFSCall, _ doing: @autoclosure () -> String) async throws -> NFSReply {
        try Task.checkCancellation()
        let cancellation = Cancellation()
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                submit(call, cancellation: cancellation) { continuation.resume(returning: $0) }
            }
        } onCancel: {
            cancellation.cancel()
        }
        switch result {
        case .success(let reply): return reply
        case .failure(let failure): throw failure.error("\(doing()) on \(url.place)")
        }
    }
}

extension NFSURL {
    /// The server and the directory, without parameters, for messages.
    package var place: String { "nfs://\(server.escapedForDisplay)\(path.escapedForDisplay)" }
}

/// The few calls that make a client, before there is one.
private struct SynchronousCalls {
    private let transport: any NFSTransport
    private let cancellation: Cancellation
    private let limit: Duration

    init(_ transport: any NFSTransport, _ cancellation: Cancellation, _ limit: Duration) {
        self.transport = transport
        self.cancellation = cancellation
        self.limit = limit
    }

    func root(_ url: NFSURL) throws -> NFSHandle {
        guard case .object(let bytes?, _) = try run(.root, "find the root", url) else {
            throw NFSClient.senseless("PUTROOTFH")
        }
        return NFSHandle(bytes: bytes)
    }

    func lookUp(_ name: [UInt8], in directory: NFSHandle, _ url: NFSURL) throws -> NFSHandle {
        let path = directory.pathOf(name)
        guard case .object(let bytes?, _) = try run(.lookUp(name, in: directory), "find \"\(path)\"", url) else {
            throw NFSClient.senseless("LOOKUP")
        }
        return NFSHandle(bytes: bytes, path: path)
    }

    func attributes(of handle: NFSHandle, _ url: NFSURL) throws -> NFSAttributes {
        guard case .done(let attributes?) = try run(.getAttributes(handle), "look at it", url) else {
            throw NFSClient.senseless("GETATTR")
        }
        return attributes
    }

    func information(_ handle: NFSHandle, _ url: NFSURL) throws -> NFSInformation {
        guard case .information(let information) = try run(.information(handle), "ask what it supports", url) else {
            throw NFSClient.senseless("FSINFO")
        }
        return information
    }

    private func run(_ call: NFSCall, _ doing: String, _ url: NFSURL) throws -> NFSReply {
        let box = CompletionBox<Result<NFSReply, NFSFailure>>()
        transport.submit(call, cancellation: cancellation) { box.set($0.result) }
        guard let result = box.wait(seconds: limit / .seconds(1)) else {
            throw LXCError(
                .unavailable,
                "the NFS server \(url.server.escapedForDisplay) does not answer within \(limit); look whether it serves "
                    + "NFS version \(url.version) there")
        }
        switch result {
        case .success(let reply): return reply
        case .failure(let failure): throw failure.error("\(doing) on \(url.place)")
        }
    }
}

extension NFSClient {
    /// The error for a reply of the wrong kind.
    static func senseless(_ procedure: String) -> LXCError {
        LXCError(.corrupt, "the NFS server's reply to \(procedure) makes no sense")
    }
}

/// Blocks the thread until what `begin` begins has called back.
func waitForCompletion<Value: Sendable>(_ begin: (@escaping @Sendable (Value) -> Void) -> Void) -> Value {
    let box = CompletionBox<Value>()
    begin { box.set($0) }
    return box.wait()
}

/// A value that one thread waits for and another brings.
final class CompletionBox<Value: Sendable>: @unchecked Sendable {
    // @unchecked: written once before the signal, read after it.
    private var value: Value?
    private let done = DispatchSemaphore(value: 0)

    func set(_ value: Value) {
        self.value = value
        done.signal()
    }

    /// Waits for a while; nil when it has not come.
    func wait(seconds: Double) -> Value? { done.wait(timeout: .now() + seconds) == .success ? value : nil }

    func wait() -> Value {
        while true {
            done.wait()
            if let value { return value }
        }
    }
}

extension NFSURL {
    /// The user in whose name calls are made: the URL's, or this process's.
    fileprivate var effectiveUser: UInt32 { user ?? geteuid() }
}
