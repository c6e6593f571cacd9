// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
public import HypervisorDriver
public import LXCCore
public import Logging
import PrimaryStore

extension LXCHypervisor {
    /// What ``LXCHypervisor/open(_:)`` puts together.
    public struct Configuration: Sendable {
        /// How libvirt is reached.
        public enum Connection: Sendable {
            /// The system daemon where it answers, else a private one.
            case automatic(PrivateLibvirtd.Configuration = .init())
            /// The daemon at a libvirt URI.
            case uri(Locator)
            /// A private daemon, also beside a system daemon.
            case privateDaemon(PrivateLibvirtd.Configuration = .init())
        }

        /// One primary store.
        public struct Pool: Hashable, Sendable {
            /// Its directory, or `nfs://server/export[/path]`; it must exist.
            public var location: String
            /// The UUID it must have; nil takes the one it has. A host that has other pools is opened without one that
            /// cannot be reached only where this says which pool that is.
            public var id: PoolID?

            /// Creates a pool from its location.
            public init(_ location: String, id: PoolID? = nil) {
                self.location = location
                self.id = id
            }
        }

        /// The primary stores; the first is the default.
        public var pools: [Pool]
        /// The directory of secondary storage, or `nfs://server/export[/path]`; it must exist when it is used.
        public var secondary: String
        /// Whether the default pool is made where nobody keeps anything. Without it a place that holds none is an error: it
        /// may be a mount point on which nothing is mounted.
        public var makesMissingPool = false
        /// How libvirt is reached.
        public var connection = Connection.automatic()
        /// Which network driver serves which traffic.
        public var vifs = VifDrivers()
        /// How the containers are kept.
        public var policy = Policy()
        /// The name this host uses in leases; nil takes ``HostFacts/leaseHolder()``.
        public var hostName: String?
        /// How this host's leases last.
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
    /// A driver that was connected, and what was started to connect it.
    public struct Connection: Sendable {
        /// Runs containers.
        public let driver: LibvirtContainers
        /// Runs virtual machines by the same daemon; it connects when it is first asked.
        public let systemVMs: LibvirtMachines
        /// Where libvirt answered.
        public let uri: Locator
        /// The daemon started for this program; nil when the system's answers.
        public let privateDaemon: PrivateLibvirtd?

        /// Reaches libvirt.
        ///
        /// - Throws: `LXCError` `unavailable` saying who did not answer, or what to install.
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

        /// Where the daemon that answers for containers at a URI answers for virtual machines.
        static func machines(besides uri: String) -> String {
            let rest = uri.dropFirst(3)
            guard uri.prefix(3).lowercased() == "lxc", rest.first == "+" || rest.first == ":" else {
                return LibvirtKind.kvm.systemURI
            }
            guard var parts = URLComponents(string: "qemu\(rest)") else { return LibvirtKind.kvm.systemURI }
            // lxc:/// and lxc:///system are the same; the driver for machines knows a path for each user as well.
            if parts.path.count <= 1 { parts.path = "/system" }
            return parts.string ?? LibvirtKind.kvm.systemURI
        }

        /// Lets go of libvirt, and ends a private daemon that was started for this process alone.
        public func close() async {
            await driver.close()
            await systemVMs.close()
            await privateDaemon?.stop()
        }
    }
}

extension LXCHypervisor {
    /// Reaches libvirt, opens the stores, and puts them together with the network drivers.
    ///
    /// A pool that cannot be reached, of several, and whose UUID is known, is stood for by an ``UnreachableStore``: its
    /// containers can be stopped, and all else of them fails with the reason until the host is opened again.
    ///
    /// - Throws: `LXCError` `unavailable` when libvirt cannot be reached, `notFound` without a primary store's directory or
    ///   a pool in it, `invalidArgument` without a pool and for one that is given twice, and what `SharedMountPointStore`
    ///   and `NFSStore` name.
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
