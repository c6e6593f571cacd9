public import HypervisorDriver
public import LXCCore
import Libvirt
public import Logging
import PrimaryStore
import TemplateStore

/// What ``LXCHypervisor/open(_:)`` puts together.
public struct Configuration: Sendable {
    /// How libvirt is reached.
    public enum Connection: Sendable {
        /// The system daemon where it answers, else a private one.
        case automatic(PrivateLibvirtd.Configuration = .init())
        /// The daemon at a libvirt URI.
        case uri(String)
        /// A private daemon, also beside a system daemon.
        case privateDaemon(PrivateLibvirtd.Configuration = .init())
    }

    /// The directory of the primary store; it must exist.
    public var primary: String
    /// The directory of secondary storage; it must exist when a template is registered.
    public var secondary: String
    /// The pool's UUID; nil takes the one its directory has, or a new one.
    public var pool: PoolID?
    /// How libvirt is reached.
    public var connection = Connection.automatic()
    /// Which network driver serves which traffic.
    public var vifs = VifDrivers()
    /// How this host is called in leases; nil takes the kernel's host name.
    public var hostName: String?
    /// Hears of every operation.
    public var logger = Logger(label: "lxc-hypervisor")

    /// Takes the two directories.
    public init(primary: String, secondary: String) {
        self.primary = primary
        self.secondary = secondary
    }
}

/// A driver that was connected, and what was started to connect it.
public struct HostConnection: Sendable {
    /// Runs containers.
    public let driver: LibvirtDriver
    /// Where libvirt answered.
    public let uri: String
    /// The daemon started for this program; nil when the system's answers.
    public let privateDaemon: PrivateLibvirtd?

    /// Reaches libvirt.
    ///
    /// - Throws: `LXCError` `unavailable` saying who did not answer, or what to install.
    public static func open(_ connection: Configuration.Connection, logger: Logger) async throws -> HostConnection {
        switch connection {
        case .uri(let uri): return try await connect(uri, nil, logger)
        case .privateDaemon(let configuration):
            let daemon = try await PrivateLibvirtd.start(configuration, logger: logger)
            return try await connect(daemon.uri(for: .lxc), daemon, logger)
        case .automatic(let configuration):
            let endpoint = try await LibvirtEndpoint.resolve(for: .lxc, otherwise: configuration, logger: logger)
            return try await connect(endpoint.uri, endpoint.privateDaemon, logger)
        }
    }

    private static func connect(
        _ uri: String, _ daemon: PrivateLibvirtd?, _ logger: Logger
    ) async throws -> HostConnection {
        let driver = LibvirtDriver(kind: .lxc, uri: uri, logger: logger)
        do {
            try await driver.open()
        } catch {
            await daemon?.stop()
            throw error
        }
        return HostConnection(driver: driver, uri: uri, privateDaemon: daemon)
    }

    /// Lets go of libvirt, and ends a private daemon that was started for this process alone.
    public func close() async {
        await driver.close()
        await privateDaemon?.stop()
    }
}

extension LXCHypervisor {
    /// Reaches libvirt, opens the stores, and puts them together with the network drivers.
    ///
    /// - Throws: `LXCError` `unavailable` when libvirt cannot be reached, `notFound` without the primary
    ///   store's directory, and what `SharedMountPointStore` names.
    public static func open(_ configuration: Configuration) async throws -> LXCHypervisor {
        let logger = configuration.logger
        let primary = try await SharedMountPointStore(
            path: configuration.primary, id: configuration.pool, logger: logger)
        let connection = try await HostConnection.open(configuration.connection, logger: logger)
        return LXCHypervisor(
            driver: connection.driver, primary: primary,
            templates: LocalSecondaryStorage(path: configuration.secondary, logger: logger), vifs: configuration.vifs,
            hostName: configuration.hostName ?? HostFacts.current().hostName, logger: logger,
            onClose: { await connection.close() })
    }
}
