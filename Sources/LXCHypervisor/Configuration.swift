// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
public import HypervisorDriver
public import LXCCore
public import Logging
import PrimaryStore

extension LXCHypervisor {
    /// The settings ``LXCHypervisor/open(_:)`` builds a host from.
    public struct Configuration: Sendable {
        /// How to connect to libvirt.
        public enum Connection: Sendable {
            /// The system daemon if it answers, otherwise a private one.
            case automatic(PrivateLibvirtd.Configuration = .init())
            /// The daemon at a libvirt URI.
            case uri(Locator)
            /// A private daemon, even if a system daemon is running.
            case privateDaemon(PrivateLibvirtd.Configuration = .init())
        }

        /// One primary store.
        public struct Pool: Hashable, Sendable {
            /// The directory of the store, or `nfs://server/export[/path]`; it must exist.
            public var location: String
            /// The UUID the pool must have; `nil` accepts the one it has. If one of several pools cannot be reached,
            /// the host opens without it only if its UUID is given here.
            public var id: PoolID?

            /// Creates a pool from its location.
            public init(_ location: String, id: PoolID? = nil) {
                self.location = location
                self.id = id
            }
        }

        /// The primary stores; the first is the default.
        public var pools: [Pool]
        /// The directory of secondary storage, or `nfs://server/export[/path]`; it must exist by the time it is used.
        public var secondary: String
        /// Whether to create the default pool if its location is unused. If `false`, a location without a pool is an
        /// error, because it may be a mount point with nothing mounted on it.
        public var makesMissingPool = false
        /// How to connect to libvirt.
        public var connection = Connection.automatic()
        /// Which network driver handles which traffic type.
        public var vifs = VifDrivers()
        /// How the containers are managed.
        public var policy = Policy()
        /// The name this host uses when it takes leases; `nil` uses ``HostFacts/leaseHolder()``.
        public var hostName: String?
        /// The lease durations of this host.
        public var leases = LeasePolicy()
        /// Receives a message for each failed operation.
        public var logger = Logger(label: "lxc-hypervisor")

        /// Creates the configuration of a host with one primary store.
        public init(primary: String, secondary: String) { self.init(pools: [Pool(primary)], secondary: secondary) }

        /// Creates the configuration of a host with several primary stores, of which the first is the default.
        public init(pools: [Pool], secondary: String) {
            self.pools = pools
            self.secondary = secondary
        }
    }
}

extension LXCHypervisor {
    /// A connected driver and the daemon started to connect it, if any.
    public struct Connection: Sendable {
        /// Runs containers.
        public let driver: LibvirtContainers
        /// Runs virtual machines through the same daemon; connects on first use.
        public let systemVMs: LibvirtMachines
        /// The URI at which libvirt answered.
        public let uri: Locator
        /// The daemon started for this program; `nil` if the system daemon is used.
        public let privateDaemon: PrivateLibvirtd?

        /// Connects to libvirt.
        ///
        /// - Throws: `LXCError` `unavailable`, stating which daemon did not answer or what to install.
        public static func open(_ connection: Configuration.Connection, logger: Logger) async throws -> Connection {
            switch connection {
            case .uri(let uri): return try await connect(uri, nil, logger)
            case .privateDaemon(let configuration):
                let daemon = try await PrivateLibvirtd.start(configuration, logger: logger)
                return try await connect(Locator(daemon.uri(for: .lxc)), daemon, logger)
            case .automatic(let configuration):
                let endpoint = try await LibvirtEndpoint.resolve(for: .lxc, otherwise: configuration, logger: logger)
                return try await connect(Locator(endpoint.uri), endpoint.privateDaemon, logger)
            }
        }

        private static func connect(
            _ uri: Locator, _ daemon: PrivateLibvirtd?, _ logger: Logger
        ) async throws -> Connection {
            let driver =
                daemon.map { LibvirtContainers(daemon: $0, logger: logger) }
                ?? LibvirtContainers(uri: uri.revealed, logger: logger)
            do {
                try await driver.open()
            } catch {
                await daemon?.stop()
                throw error
            }
            let systemVMs =
                daemon.map { LibvirtMachines(daemon: $0, logger: logger) }
                ?? LibvirtMachines(uri: Self.machines(besides: uri.revealed), logger: logger)
            return Connection(driver: driver, systemVMs: systemVMs, uri: uri, privateDaemon: daemon)
        }

        /// The virtual machine URI of the daemon that serves containers at the given URI.
        static func machines(besides uri: String) -> String {
            let rest = uri.dropFirst(3)
            guard uri.prefix(3).lowercased() == "lxc", rest.first == "+" || rest.first == ":" else {
                return LibvirtKind.kvm.systemURI
            }
            guard var parts = URLComponents(string: "qemu\(rest)") else { return LibvirtKind.kvm.systemURI }
            // `lxc:///` and `lxc:///system` are equivalent; the virtual machine driver also has a path for each user.
            if parts.path.count <= 1 { parts.path = "/system" }
            return parts.string ?? LibvirtKind.kvm.systemURI
        }

        /// Disconnects from libvirt, and terminates a private daemon that was started for this process only.
        public func close() async {
            await driver.close()
            await systemVMs.close()
            await privateDaemon?.stop()
        }
    }
}

extension LXCHypervisor {
    /// Connects to libvirt, opens the stores, and combines them with the network drivers.
    ///
    /// If one of several pools cannot be reached and its UUID is known, an ``UnreachableStore`` takes its place: its
    /// containers can be stopped, and every other operation on them fails with the reason until the host is reopened.
    ///
    /// - Throws: `LXCError` `unavailable` if libvirt cannot be reached, `notFound` if a primary store's directory or
    ///   the pool in it is missing, `invalidArgument` if no pool is given or one is given twice, and the errors of
    ///   `SharedMountPointStore` and `NFSStore`.
    public static func open(_ configuration: Configuration) async throws -> LXCHypervisor {
        let logger = configuration.logger
        let openings = try PoolOpening.all(configuration)
        let templates = try StoreLocation(configuration.secondary).secondaryStorage(logger: logger)
        let connection = try await Connection.open(configuration.connection, logger: logger)
        let pools: StorePools
        do {
            pools = try await PoolOpening.open(
                openings, LibvirtMounter(connection.driver, daemon: connection.privateDaemon), logger)
        } catch {
            await connection.close()
            throw error
        }
        return LXCHypervisor(
            Drivers(containers: connection.driver, systemVMs: connection.systemVMs), pools, templates,
            configuration.vifs, configuration.hostName ?? HostFacts.leaseHolder(), configuration.policy,
            configuration.leases, logger, { await connection.close() })
    }
}
