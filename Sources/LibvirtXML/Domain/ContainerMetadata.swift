// SPDX-License-Identifier: Apache-2.0

public import LXCCore

/// The data this package stores with a domain, in `<metadata>`: enough to find a container's parts again from libvirt
/// alone.
public struct ContainerMetadata: Hashable, Sendable {
    /// The namespace of the element.
    public static let namespace = "https://lxchypervisor.org/xmlns/domain/1.0"
    /// The prefix the element is written with.
    public static let prefix = "lxc-hypervisor"

    /// The properties of a NIC that its `<interface>` lacks, so that its network can be made again.
    public struct Network: Hashable, Sendable {
        /// The NIC's number.
        public var device: Int
        /// The purpose of the network: CloudStack's name of the type of traffic.
        public var traffic: String
        /// The network: CloudStack's broadcast URI.
        public var broadcast: String?
        /// The traffic label: the host's bridge or device.
        public var label: String?
        /// The traffic the guest may send and receive; nil allows everything.
        public var security: Security?

        /// The traffic a guest may send and receive on a NIC, as texts.
        public struct Security: Hashable, Sendable {
            /// The guest's addresses; empty leaves them to the guest.
            public var addresses: [String]
            /// The allowed traffic in CloudStack's notation; nil allows everything.
            public var rules: [String]?

            /// Creates security settings.
            public init(addresses: [String] = [], rules: [String]? = nil) {
                self.addresses = addresses
                self.rules = rules
            }
        }

        /// Creates a network.
        public init(
            device: Int, traffic: String, broadcast: String? = nil, label: String? = nil, security: Security? = nil
        ) {
            self.device = device
            self.traffic = traffic
            self.broadcast = broadcast
            self.label = label
            self.security = security
        }
    }

    /// The primary store the container's root is in.
    public var pool: PoolID
    /// The container's root.
    public var volume: VolumeID
    /// The template the root was made from.
    public var template: TemplateID?
    /// The owner the embedding program made the container for.
    public var owner: String?
    /// The networks of its NICs.
    public var networks: [Network]

    /// The signal that asks the container's init to end, such as `SIGTERM`, where the embedding program named one.
    public var stopSignal: String?
    /// The signal the init that was found before the last start ends by.
    public var initSignal: String?
    /// The action when the container ends without having been stopped.
    public var restart = RestartPolicy.never
    /// Whether the container was stopped on purpose and is to stay stopped.
    public var isHeld = false

    /// The number of bytes kept of the container's console output.
    public var consoleLog: ByteCount?

    /// The maximum number of processes and threads in the container: 0 for no limit; nil if unspecified.
    public var processes: UInt64?

    /// The action when a container ends without having been stopped by this package.
    public enum RestartPolicy: String, Hashable, Sendable, Codable, CaseIterable {
        /// Nothing.
        case never
        /// It is started whenever it does not run and was not stopped. libvirt does not tell how an init ended, so success
        /// and failure are the same.
        case always
    }

    /// Creates the metadata of a container.
    public init(
        pool: PoolID, volume: VolumeID, template: TemplateID? = nil, owner: String? = nil, networks: [Network] = []
    ) {
        self.pool = pool
        self.volume = volume
        self.template = template
        self.owner = owner
        self.networks = networks
    }
}
