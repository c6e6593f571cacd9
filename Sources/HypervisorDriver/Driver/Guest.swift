public import FoundationEssentials
public import LXCCore
import LinuxSystem

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
    public var name: GuestName
    /// Its UUID.
    public var uuid: UUID
    /// Its state.
    public var state: GuestState
    /// The hypervisor's number for it while it runs; libvirt's LXC driver gives the pid of its controller process.
    public var id: Int32?
    /// Whether it is forgotten when it ends.
    public var isTransient: Bool

    /// Creates a guest.
    public init(name: GuestName, uuid: UUID, state: GuestState, id: Int32? = nil, isTransient: Bool = false) {
        self.name = name
        self.uuid = uuid
        self.state = state
        self.id = id
        self.isTransient = isTransient
    }

    private enum CodingKeys: String, CodingKey { case name, uuid, state, id, isTransient = "transient" }

    /// Reads every value; a guest that is not said to be transient is not.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        try self.init(
            name: values.decode(GuestName.self, forKey: .name), uuid: values.decode(UUID.self, forKey: .uuid),
            state: values.decode(GuestState.self, forKey: .state),
            id: values.decodeIfPresent(Int32.self, forKey: .id),
            isTransient: values.decodeIfPresent(Bool.self, forKey: .isTransient) ?? false)
    }

    /// Writes every value; the UUID in lower case, as libvirt and the stores do.
    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(name, forKey: .name)
        try values.encode(uuid.uuidString.lowercased(), forKey: .uuid)
        try values.encode(state, forKey: .state)
        try values.encodeIfPresent(id, forKey: .id)
        if isTransient { try values.encode(true, forKey: .isTransient) }
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

        /// Creates an interface.
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

    /// What the guest has read from and written to block devices since its start.
    public struct BlockIO: Hashable, Sendable, Codable {
        /// Bytes read.
        public var readBytes: UInt64
        /// Requests to read.
        public var readRequests: UInt64
        /// Bytes written.
        public var writtenBytes: UInt64
        /// Requests to write.
        public var writeRequests: UInt64

        /// Creates limits of block devices.
        public init(
            readBytes: UInt64 = 0, readRequests: UInt64 = 0, writtenBytes: UInt64 = 0, writeRequests: UInt64 = 0
        ) {
            self.readBytes = readBytes
            self.readRequests = readRequests
            self.writtenBytes = writtenBytes
            self.writeRequests = writeRequests
        }
    }

    /// When this was read, in nanoseconds of a clock that never jumps (CLOCK_MONOTONIC).
    public var monotonicNanoseconds: UInt64
    /// Processor time used since the start, in nanoseconds.
    public var cpuNanoseconds: UInt64
    /// Processors it has.
    public var virtualCPUs: Int
    /// Memory in use, cached files included.
    public var memoryUsed: ByteCount
    /// The most memory it can use.
    public var memoryLimit: ByteCount
    /// Memory in use for cached files, which is given back when it is needed; nil if the hypervisor does not report it.
    public var memoryCache: ByteCount?
    /// Swap in use; nil if the hypervisor does not report it.
    public var swapUsed: ByteCount?
    /// Processes the kernel killed because the memory did not suffice; nil if the hypervisor does not report it.
    public var outOfMemoryKills: UInt64?
    /// How many processes it has; nil if the hypervisor does not report it.
    public var processes: Int?
    /// How many processes and threads it can have; nil where there is no limit, or the hypervisor does not report it.
    public var processLimit: UInt64?
    /// What went to and came from block devices; nil if the hypervisor does not report it.
    public var blockIO: BlockIO?
    /// The counters of each interface.
    public var interfaces: [Interface]

    /// Creates statistics of the values every hypervisor reports, read now.
    public init(
        cpuNanoseconds: UInt64, virtualCPUs: Int, memoryUsed: ByteCount, memoryLimit: ByteCount,
        interfaces: [Interface] = []
    ) {
        monotonicNanoseconds = MonotonicClock.now()
        self.cpuNanoseconds = cpuNanoseconds
        self.virtualCPUs = virtualCPUs
        self.memoryUsed = memoryUsed
        self.memoryLimit = memoryLimit
        self.interfaces = interfaces
    }

    /// The share of all of the host's processors the guest used between two readings, in percent: CloudStack's rule.
    ///
    /// - Parameters:
    ///   - earlier: a reading before this one.
    ///   - hostCPUs: how many processors the host has.
    /// - Returns: 0 to 100; nil when no time has passed, or the guest was started anew in between.
    public func cpuPercent(since earlier: GuestStatistics, hostCPUs: Int) -> Double? {
        guard monotonicNanoseconds > earlier.monotonicNanoseconds, cpuNanoseconds >= earlier.cpuNanoseconds,
            hostCPUs > 0
        else { return nil }
        let elapsed = Double(monotonicNanoseconds - earlier.monotonicNanoseconds) * Double(hostCPUs)
        return min(100, Double(cpuNanoseconds - earlier.cpuNanoseconds) / elapsed * 100)
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
    public var guest: GuestName
    /// What happened.
    public var kind: Kind

    /// Creates a guest event.
    public init(guest: GuestName, kind: Kind) {
        self.guest = guest
        self.kind = kind
    }
}
