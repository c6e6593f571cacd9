public import Foundation
public import LXCCore

/// The states of libvirt's virDomainState.
public enum GuestState: String, Hashable, Sendable, Codable, CaseIterable {
    /// Not known.
    case noState
    /// Running.
    case running
    /// Waiting for a resource.
    case blocked
    /// Suspended.
    case paused
    /// Asked to end.
    case shuttingDown
    /// Not running.
    case shutOff
    /// Ended by its own failure.
    case crashed

    /// Whether the guest has processes.
    public var isActive: Bool {
        switch self {
        case .running, .blocked, .paused, .shuttingDown: true
        case .noState, .shutOff, .crashed: false
        }
    }
}

/// A guest as a driver sees it.
public struct Guest: Hashable, Sendable, Codable {
    /// Its name.
    public var name: ContainerName
    /// Its UUID.
    public var uuid: UUID
    /// Its state.
    public var state: GuestState
    /// The hypervisor's number for it while it runs; libvirt's LXC driver gives the pid of its controller process.
    public var id: Int32?

    /// Takes everything.
    public init(name: ContainerName, uuid: UUID, state: GuestState, id: Int32? = nil) {
        self.name = name
        self.uuid = uuid
        self.state = state
        self.id = id
    }

    private enum CodingKeys: String, CodingKey { case name, uuid, state, id }

    /// Writes every value; the UUID in lower case, as libvirt and the stores do.
    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(name, forKey: .name)
        try values.encode(uuid.uuidString.lowercased(), forKey: .uuid)
        try values.encode(state, forKey: .state)
        try values.encodeIfPresent(id, forKey: .id)
    }
}

/// What a running guest uses.
public struct GuestStatistics: Hashable, Sendable, Codable {
    /// The counters of one network interface since the guest's start, as the guest sees them.
    public struct Interface: Hashable, Sendable, Codable {
        /// The name of the host's end.
        public var device: String
        /// Bytes the guest received.
        public var receivedBytes: UInt64
        /// Packets the guest received.
        public var receivedPackets: UInt64
        /// Bytes the guest sent.
        public var sentBytes: UInt64
        /// Packets the guest sent.
        public var sentPackets: UInt64

        /// Takes everything.
        public init(
            device: String, receivedBytes: UInt64, receivedPackets: UInt64, sentBytes: UInt64, sentPackets: UInt64
        ) {
            self.device = device
            self.receivedBytes = receivedBytes
            self.receivedPackets = receivedPackets
            self.sentBytes = sentBytes
            self.sentPackets = sentPackets
        }
    }

    /// Processor time used since the start, in nanoseconds.
    public var cpuNanoseconds: UInt64
    /// Processors it has.
    public var virtualCPUs: Int
    /// Memory in use.
    public var memoryUsed: ByteCount
    /// The most memory it can use.
    public var memoryLimit: ByteCount
    /// The counters of each interface.
    public var interfaces: [Interface]

    /// Takes everything.
    public init(
        cpuNanoseconds: UInt64, virtualCPUs: Int, memoryUsed: ByteCount, memoryLimit: ByteCount,
        interfaces: [Interface] = []
    ) {
        self.cpuNanoseconds = cpuNanoseconds
        self.virtualCPUs = virtualCPUs
        self.memoryUsed = memoryUsed
        self.memoryLimit = memoryLimit
        self.interfaces = interfaces
    }
}

/// Something that happened to a guest.
public struct GuestEvent: Hashable, Sendable, Codable {
    /// What can happen.
    public enum Kind: String, Hashable, Sendable, Codable, CaseIterable {
        /// It was made known, or its document changed.
        case defined
        /// It was forgotten.
        case undefined
        /// It was started.
        case started
        /// It was suspended.
        case suspended
        /// It goes on.
        case resumed
        /// It ended.
        case stopped
        /// It was asked to end and is doing so.
        case shutdown
        /// It ended by its own failure.
        case crashed
    }

    /// The guest's name.
    public var guest: ContainerName
    /// What happened.
    public var kind: Kind

    /// Takes both.
    public init(guest: ContainerName, kind: Kind) {
        self.guest = guest
        self.kind = kind
    }
}
