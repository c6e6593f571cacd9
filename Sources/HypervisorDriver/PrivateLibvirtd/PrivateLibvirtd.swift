// SPDX-License-Identifier: Apache-2.0

import CLinux
import FoundationEssentials
import Glibc
import LXCCore
import Libvirt
import LinuxSystem
public import Logging
import Synchronization

/// A libvirtd started for this program alone: own sockets, own definitions, own view of the host's control groups.
///
/// It runs beside a system daemon and beside others of its kind without touching their state: in a mount namespace of
/// its own, in which its directories are mounted over libvirt's usual ones. Later mounts of the host are visible to it
/// if the host's mounts propagate, as they do under systemd; its own mounts are not visible to the host.
///
/// By default it ends with this process, and so do its containers: see ``Lifetime``. Starting one forks this process,
/// so start it early, while the process is small.
public final class PrivateLibvirtd: Sendable {
    /// The directory of everything that is the daemon's.
    public var directory: String { paths.path }
    /// The process id of the daemon's supervisor; of the daemon itself when it lingers and was started here.
    package let process: Int32?

    private let paths: PrivateLibvirtdDirectory
    private let logger: Logger
    private let lifeline: Mutex<CInt?>
    /// Held open while a lingering daemon is in use here, because one without clients may end.
    private let client: Mutex<LibvirtConnection?>
    /// Restarts a lingering daemon that has died; nil if its supervisor does that.
    private let restart: PrivateLibvirtdStart?
    private let waits = Mutex(RestartPause())

    private init(
        paths: PrivateLibvirtdDirectory, running: PrivateLibvirtdLauncher.Running?, client: LibvirtConnection?,
        restart: PrivateLibvirtdStart?, logger: Logger
    ) {
        self.paths = paths
        self.process = running?.process
        self.lifeline = Mutex(running?.lifeline)
        self.client = Mutex(client)
        self.restart = restart
        self.logger = logger
    }

    deinit {
        guard let end = lifeline.withLock({ $0.take() }), let process else { return }
        close(end)
        // The supervisor is not waited for any more, but its exit status must be collected.
        SystemThread.detach("lxc-reaper") { _ = clinux_await_child(process, 0) }
    }

    /// Starts a daemon and returns when it answers, or finds the lingering one of the directory.
    ///
    /// - Throws: `LXCError` `permissionDenied` for a user other than root or if the kernel refuses a mount namespace,
    ///   `unavailable` if libvirtd is not installed or ends immediately, `timedOut` if it does not answer in time,
    ///   `invalidArgument` or `unsafe` for an unusable directory, `inUse` if a daemon runs in it.
    public static func start(_ configuration: Configuration = Configuration(), logger: Logger) async throws
        -> PrivateLibvirtd
    {
        try configuration.validate()
        let paths = try await BlockingPool.shared.run { _ in
            try PrivateLibvirtdDirectory(
                configuration.directory ?? defaultDirectory(configuration.lifetime),
                isRemoved: configuration.lifetime == .owner)
        }
        let launcher = PrivateLibvirtdLauncher(
            directory: paths, drivers: configuration.drivers, lifetime: configuration.lifetime)
        let start = PrivateLibvirtdStart(launcher: launcher, timeout: configuration.startTimeout, logger: logger)
        switch configuration.lifetime {
        case .owner:
            let running = try await start.supervised()
            logger.info("private libvirtd started", metadata: ["libvirt.directory": "\(paths.path)"])
            return PrivateLibvirtd(paths: paths, running: running, client: nil, restart: nil, logger: logger)
        case .lingering:
            let (client, running) = try await start.shared()
            return PrivateLibvirtd(paths: paths, running: running, client: client, restart: start, logger: logger)
        }
    }

    private static func defaultDirectory(_ lifetime: Lifetime) -> String {
        let name = lifetime == .owner ? RandomName.make() : "shared"
        return "/run/lxc-hypervisor/\(name)"
    }

    /// The URI to connect to for one kind of domain.
    public func uri(for driver: LibvirtKind) -> String { paths.uri(for: driver) }

    /// The process id of the daemon that answers now; a lingering one may be another than the one found at first.
    ///
    /// - Throws: `LXCError` `unavailable` if none runs, `io`.
    package func processID() throws -> Int32 {
        guard let bytes = try DurableFile.read(paths.processFile),
            let process = Int32(String(decoding: bytes, as: UTF8.self).trimmed)
        else {
            throw LXCError(.unavailable, "no private libvirtd runs in \(directory.escapedForDisplay); start it again")
        }
        return process
    }

    /// Restarts a lingering daemon that has died; a live one stays unchanged. A daemon that ends with this process is
    /// restarted by its supervisor without a request.
    ///
    /// - Throws: `LXCError` `unavailable` also while the wait since the last start is not over: it is twice as long each
    ///   time, up to a minute.
    package func startAgain() async throws {
        guard let restart, client.withLock({ $0 != nil }) else { return }
        try waits.withLock { try $0.begin(in: directory) }
        logger.warning("private libvirtd died; restarting it", metadata: ["libvirt.directory": "\(directory)"])
        let (opened, _) = try await restart.shared()
        // After a concurrent stop the client is not needed any more.
        let unneeded = client.withLock { client in
            guard let old = client else { return opened }
            client = opened
            return old
        }
        await unneeded.close()
    }

    /// Ends the daemon and everything it runs, and returns when all of it is gone, which takes at most half a minute.
    /// Completes in a cancelled task, and may be called again.
    ///
    /// A lingering daemon is only left alone: its domains run on.
    public func stop() async {
        let client = client.withLock { $0.take() }
        await client?.close()
        if let end = lifeline.withLock({ $0.take() }) {
            close(end)
            logger.info("private libvirtd stopping", metadata: ["libvirt.directory": "\(paths.path)"])
        } else if restart != nil {
            return
        }
        guard let process else { return }
        await withoutCancellation { try? await BlockingPool.shared.run { _ in _ = clinux_await_child(process, 0) } }
    }
}

/// The waits between the starts of a daemon that dies again and again.
struct RestartPause: Sendable {
    private static let longest = Duration.seconds(60)

    private var last: ContinuousClock.Instant?
    private var wait = Duration.milliseconds(500)

    /// Notes a start.
    ///
    /// - Throws: `LXCError` `unavailable` while it is too early for one.
    mutating func begin(in directory: String, at now: ContinuousClock.Instant = .now) throws(LXCError) {
        if let last {
            guard now - last >= wait else {
                throw LXCError(
                    .unavailable,
                    "the private libvirtd in \(directory.escapedForDisplay) has died; it is started again at the latest in "
                        + "\(wait - (now - last)), and its log says why it ended")
            }
            wait = now - last > Self.longest ? .milliseconds(500) : min(wait * 2, Self.longest)
        }
        last = now
    }
}

extension PrivateLibvirtdDirectory {
    /// The bytes of a socket's path that a URI holds as they are.
    private static let plain = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/-._~".utf8)

    /// The URI of the daemon in this directory.
    func uri(for driver: LibvirtKind) -> String {
        let scheme = driver == .lxc ? "lxc" : "qemu"
        let path = socket.utf8.map { byte in
            Self.plain.contains(byte) ? String(Unicode.Scalar(byte)) : "%" + [byte].hexadecimal.uppercased()
        }.joined()
        return "\(scheme):///system?socket=\(path)"
    }
}
