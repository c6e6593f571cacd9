import CLibvirt
import Foundation
public import LXCCore
public import Logging

/// A connection to a libvirt daemon, or to a driver inside this process (`test:///default`).
///
/// It opens on first use, and again on the next use after the daemon went away. Blocking calls run on threads of the
/// connection, at most five at a time, which is how many libvirtd serves one client at once; calls for different
/// domains do not wait for each other. Every method throws `LXCError`: `unavailable` while nobody answers at
/// the URI, `invalidState` after ``close()``, `invalidArgument` for text with a NUL in it, and what the method names.
/// The error's cause is the ``LibvirtError``.
public actor LibvirtConnection {
    /// How a silent loss of the daemon or of the network is noticed.
    public struct KeepAlive: Hashable, Sendable {
        /// Seconds between two probes.
        public var interval: Int32
        /// How many probes may stay unanswered before the connection counts as lost.
        public var count: UInt32

        /// Takes the numbers; by default a loss shows after 30 seconds.
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
    private let logger: Logger
    private let executor = QueueExecutor(label: "libvirt-connection")
    private let pool = BlockingPool(threads: 5)
    private var handle: ConnectionHandle?
    private var isClosed = false

    /// The actor's executor: opening and closing block a thread of its own, never the cooperative pool.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// Makes a connection that opens on first use.
    ///
    /// - Parameters:
    ///   - uri: a libvirt URI: `lxc:///system`, `qemu+ssh://host/system`, `test:///default`.
    ///   - keepAlive: how a silent loss is noticed; nil leaves that to TCP.
    ///   - logger: hears of opening, loss and closing.
    public init(uri: String, keepAlive: KeepAlive? = KeepAlive(), logger: Logger) {
        self.uri = Locator(uri)
        self.displayURI = self.uri.description
        self.keepAlive = keepAlive
        self.logger = logger
    }

    /// Makes a connection and opens it.
    ///
    /// - Throws: `LXCError` `unavailable` naming the URI, `permissionDenied` when the daemon refuses this user.
    public static func open(
        _ uri: String, keepAlive: KeepAlive? = KeepAlive(), logger: Logger
    ) async throws -> LibvirtConnection {
        let connection = LibvirtConnection(uri: uri, keepAlive: keepAlive, logger: logger)
        try await connection.open()
        return connection
    }

    deinit {
        guard let handle else { return }
        // Closing may ask the daemon, and nobody knows on which thread the last reference goes. (An isolated deinit
        // would do, but makes the optimizer of Swift 6.3 fail in modules that import this one.)
        Thread.detachNewThread { handle.close() }
    }

    /// Opens the connection now, if it is not open.
    ///
    /// - Throws: `LXCError` `unavailable` naming the URI, `permissionDenied` when the daemon refuses this user.
    public func open() throws {
        _ = try connected()
    }

    /// Closes the connection for good and ends its event streams; calls in flight still finish.
    public func close() {
        isClosed = true
        guard let handle else { return }
        self.handle = nil
        handle.close()
        logger.debug("libvirt connection closed", metadata: ["libvirt.uri": "\(displayURI)"])
    }

    /// Which of libvirt's drivers the URI names, such as `lxc`; nil where it is an alias of libvirt's configuration.
    public nonisolated var driverName: String? {
        let uri = uri.revealed
        return uri.firstRange(of: "://").map { scheme in String(uri[..<scheme.lowerBound].prefix { $0 != "+" }) }
    }

    /// Whether the daemon is on this host: its URI names no other, as `lxc:///` does.
    public nonisolated var isLocal: Bool {
        let uri = uri.revealed
        guard let scheme = uri.firstRange(of: "://") else { return false }
        let transport = uri[..<scheme.lowerBound].split(separator: "+").dropFirst().first
        let host = uri[scheme.upperBound...].prefix { $0 != "/" && $0 != "?" }
        return host.isEmpty && (transport == nil || transport == "unix")
    }

    /// Whether the connection is open and its daemon there. Asks nobody, so it is quick.
    public var isAlive: Bool { handle?.isAlive ?? false }

    /// The open connection, opened when there is none or the last one was lost.
    func connected() throws(LXCError) -> ConnectionHandle {
        if isClosed { throw LXCError(.invalidState, "the connection to \(displayURI) was closed; open a new one") }
        if let handle {
            if handle.isAlive { return handle }
            logger.info("libvirt connection lost", metadata: ["libvirt.uri": "\(displayURI)"])
            self.handle = nil
            handle.close()
        }
        let opened = try ConnectionHandle(uri: uri.revealed, keepAlive: keepAlive)
        handle = opened
        logger.debug("libvirt connection open", metadata: ["libvirt.uri": "\(displayURI)"])
        return opened
    }

    /// Runs blocking C calls on a thread of the connection.
    func perform<Value: Sendable>(_ body: @escaping @Sendable (virConnectPtr) throws -> Value) async throws -> Value {
        try await perform { (handle: ConnectionHandle) in try handle.run(body) }
    }

    /// Runs blocking C calls with the connection itself.
    func perform<Value: Sendable>(
        _ body: @escaping @Sendable (ConnectionHandle) throws -> Value
    ) async throws -> Value {
        try Task.checkCancellation()
        let handle = try connected()
        return try await pool.run { _ in try body(handle) }
    }

    /// Runs blocking C calls on a domain found by its name.
    func withDomain<Value: Sendable>(
        _ name: String, _ body: @escaping @Sendable (borrowing DomainHandle) throws -> Value
    ) async throws -> Value {
        try requireNoNUL(name, "the domain name")
        return try await perform { (raw: virConnectPtr) in
            let domain = try DomainHandle(named: name, on: raw)
            return try body(domain)
        }
    }
}
