// SPDX-License-Identifier: Apache-2.0

import CLibvirt
public import LXCCore
public import Logging

/// A connection to a libvirt daemon, or to a driver inside this process (`test:///default`).
///
/// It opens on first use, and again on the next use after the daemon went away. Blocking calls run on threads of the
/// connection, at most five at a time, the number libvirtd serves one client concurrently; calls for different domains
/// do not wait for each other. No call waits endlessly for a daemon that hangs (``Patience``), and a cancelled task
/// leaves it. Every method throws `LXCError`: `unavailable` while nothing answers at the URI, `timedOut` if a daemon
/// does not answer in time, `invalidState` after ``close()``, `invalidArgument` for text that contains a NUL, and the
/// method's own codes. The error's cause is the ``LibvirtError``.
public actor LibvirtConnection {
    /// The detection of a silent loss of the daemon or of the network.
    public struct KeepAlive: Hashable, Sendable {
        /// Seconds between two probes.
        public var interval: Int32
        /// The number of unanswered probes after which the connection counts as lost.
        public var count: UInt32

        /// Creates keepalive settings; by default a loss is detected after 30 seconds.
        public init(interval: Int32 = 5, count: UInt32 = 5) {
            self.interval = interval
            self.count = count
        }
    }

    /// The URI as it may be shown: without a name and a password.
    public nonisolated let displayURI: String
    /// The URI given.
    public nonisolated let uri: Locator

    private let keepAlive: KeepAlive?
    private let patience: Patience
    private let startDaemon: (@Sendable () async throws -> Void)?
    private let logger: Logger
    private let pool = BlockingPool(threads: 5)
    private var handle: ConnectionHandle?
    /// The one attempt to open that is under way: every caller that needs the connection waits for it, however long it
    /// hangs, so that no two threads ever do.
    private var opening: Answer<ConnectionHandle>?
    private var isClosed = false

    /// Makes a connection that opens on first use.
    ///
    /// - Parameters:
    ///   - uri: a libvirt URI: `lxc:///system`, `qemu+ssh://host/system`, `test:///default`.
    ///   - keepAlive: the detection of a silent loss; nil leaves it to TCP.
    ///   - patience: the time limits of calls.
    ///   - startDaemon: starts the daemon if nothing answers at the URI; then the connection is tried again.
    ///   - logger: receives messages about opening, loss and closing.
    public init(
        uri: String, keepAlive: KeepAlive? = KeepAlive(), patience: Patience = Patience(),
        startDaemon: (@Sendable () async throws -> Void)? = nil, logger: Logger
    ) {
        self.uri = Locator(uri)
        self.displayURI = self.uri.description
        self.keepAlive = keepAlive
        self.patience = patience
        self.startDaemon = startDaemon
        self.logger = logger
    }

    /// Makes a connection and opens it.
    ///
    /// - Throws: `LXCError` `unavailable` or `timedOut` naming the URI, `permissionDenied` when the daemon refuses this
    ///   user.
    public static func open(
        _ uri: String, keepAlive: KeepAlive? = KeepAlive(), patience: Patience = Patience(), logger: Logger
    ) async throws -> LibvirtConnection {
        let connection = LibvirtConnection(uri: uri, keepAlive: keepAlive, patience: patience, logger: logger)
        try await connection.open()
        return connection
    }

    deinit { handle?.close() }

    /// Opens the connection now, if it is not open.
    ///
    /// - Throws: `LXCError` `unavailable` or `timedOut` naming the URI, `permissionDenied` when the daemon refuses this
    ///   user.
    public func open() async throws {
        _ = try await connected()
    }

    /// Closes the connection for good and ends its event streams; calls in flight still finish. Does not wait for the
    /// daemon to have heard of it.
    public func close() {
        isClosed = true
        guard let handle else { return }
        self.handle = nil
        handle.close()
        logger.debug("libvirt connection closed", metadata: ["libvirt.uri": "\(displayURI)"])
    }

    /// The libvirt driver in the URI, such as `lxc`; nil for an alias of libvirt's configuration.
    public nonisolated var driverName: String? {
        LibvirtURI(uri)?.driver
    }

    /// Whether the daemon is on this host: its URI names no other, as `lxc:///` does.
    public nonisolated var isLocal: Bool {
        LibvirtURI(uri)?.isLocal ?? false
    }

    /// Whether the connection is open and its daemon alive. Makes no call, so it is quick.
    public var isAlive: Bool { handle?.isAlive ?? false }

    /// The open connection; opens one if there is none or the last one was lost.
    func connected() async throws -> ConnectionHandle {
        if isClosed { throw closed }
        if let handle {
            if handle.isAlive { return handle }
            logger.info("libvirt connection lost", metadata: ["libvirt.uri": "\(displayURI)"])
            self.handle = nil
            handle.close()
        }
        let (limit, shown) = (patience.opening, displayURI)
        let handle = try await (opening ?? beginOpening()).value(within: limit, afterCancellation: .zero) {
            LXCError(
                .timedOut,
                "libvirt at \(shown) does not answer: nothing has come for \(limit). See whether its daemon hangs, and "
                    + "restart it")
        }
        if isClosed { throw closed }
        return handle
    }

    private var closed: LXCError {
        LXCError(.invalidState, "the connection to \(displayURI) was closed; open a new one")
    }

    private func beginOpening() -> Answer<ConnectionHandle> {
        let answer = Answer<ConnectionHandle>()
        opening = answer
        _ = answer.begin()
        Task { [weak self, uri, keepAlive, startDaemon] in
            let result: Result<ConnectionHandle, any Error>
            do {
                result = .success(try await Self.connect(uri.revealed, keepAlive, startDaemon))
            } catch {
                result = .failure(error)
            }
            await self?.hasOpened(result)
            answer.give(result)
        }
        return answer
    }

    private func hasOpened(_ result: Result<ConnectionHandle, any Error>) {
        opening = nil
        guard case .success(let handle) = result else { return }
        guard !isClosed else { return handle.close() }
        self.handle = handle
        logger.debug("libvirt connection open", metadata: ["libvirt.uri": "\(displayURI)"])
    }

    private static func connect(
        _ uri: String, _ keepAlive: KeepAlive?, _ startDaemon: (@Sendable () async throws -> Void)?
    ) async throws -> ConnectionHandle {
        do {
            return try await ConnectionHandle.open(uri, keepAlive)
        } catch let error as LXCError where error.code == .unavailable {
            guard let startDaemon else { throw error }
            try await startDaemon()
            return try await ConnectionHandle.open(uri, keepAlive)
        }
    }

    /// Runs blocking C calls on a thread of the connection.
    func perform<Value: Sendable>(
        _ call: Call = .reading, _ body: @escaping @Sendable (virConnectPtr) throws -> Value
    ) async throws -> Value {
        try await perform(call) { (handle: ConnectionHandle) in try handle.run(body) }
    }

    /// Runs blocking C calls with the connection itself.
    func perform<Value: Sendable>(
        _ call: Call = .reading, _ body: @escaping @Sendable (ConnectionHandle) throws -> Value
    ) async throws -> Value {
        try Task.checkCancellation()
        let handle = try await connected()
        let answer = Answer<Value>()
        Task { [pool] in
            try? await pool.run { _ in
                // Work that has no waiter left must not be done later.
                guard answer.begin() else { return }
                answer.give(Result { try body(handle) })
            }
        }
        let (limit, shown) = (patience.limit(of: call), displayURI)
        return try await answer.value(within: limit, afterCancellation: patience.grace(of: call)) {
            LXCError(
                .timedOut,
                "libvirt at \(shown) has not answered for \(limit); see whether its daemon hangs, and restart it. What it "
                    + "was asked for may still be done")
        }
    }

    /// Runs blocking C calls on a domain found by its name.
    func withDomain<Value: Sendable>(
        _ name: String, _ call: Call = .reading,
        _ body: @escaping @Sendable (borrowing DomainHandle) throws -> Value
    ) async throws -> Value {
        try requireNoNUL(name, "the domain name")
        return try await perform(call) { (raw: virConnectPtr) in
            let domain = try DomainHandle(named: name, on: raw)
            return try body(domain)
        }
    }
}
