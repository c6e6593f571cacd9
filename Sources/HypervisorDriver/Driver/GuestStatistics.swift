// SPDX-License-Identifier: Apache-2.0

public import LXCCore
import LinuxSystem

/// The resource usage of a running guest.
public struct GuestStatistics: Hashable, Sendable {
    /// The counters of one network interface since the guest's start, from the guest's point of view.
    public struct Interface: Hashable, Sendable, Codable {
        /// The name of the host end.
        public var device: String
        /// Bytes the guest received.
        public var receivedBytes: ByteCount
        /// Packets the guest received.
        public var receivedPackets: UInt64
        /// Bytes the guest sent.
        public var sentBytes: ByteCount
        /// Packets the guest sent.
        public var sentPackets: UInt64

        /// Creates an interface.
        public init(
            device: String, receivedBytes: ByteCount, receivedPackets: UInt64, sentBytes: ByteCount, sentPackets: UInt64
        ) {
            self.device = device
            self.receivedBytes = receivedBytes
            self.receivedPackets = receivedPackets
            self.sentBytes = sentBytes
            self.sentPackets = sentPackets
        }
    }

    /// The guest's reads from and writes to block devices since its start.
    public struct BlockIO: Hashable, Sendable, Codable {
        /// Bytes read.
        public var readBytes: ByteCount
        /// Read requests.
        public var readRequests: UInt64
        /// Bytes written.
        public var writtenBytes: ByteCount
        /// Write requests.
        public var writeRequests: UInt64

        /// Creates counters of block devices.
        public init(
            readBytes: ByteCount = ByteCount(0), readRequests: UInt64 = 0, writtenBytes: ByteCount = ByteCount(0),
            writeRequests: UInt64 = 0
        ) {
            self.readBytes = readBytes
            self.readRequests = readRequests
            self.writtenBytes = writtenBytes
            self.writeRequests = writeRequests
        }
    }

    /// The time of the reading, by a clock that never jumps (CLOCK_MONOTONIC).
    public var monotonicTime: Duration
    /// Processor time used since the guest's start.
    public var cpuTime: Duration
    /// The number of its processors.
    public var virtualCPUs: Int
    /// Memory in use, including cached files.
    public var memoryUsed: ByteCount
    /// The maximum memory.
    public var memoryLimit: ByteCount
    /// Memory in use for cached files, reclaimed when needed; `nil` if the hypervisor does not report it.
    public var memoryCache: ByteCount?
    /// Swap in use; `nil` if the hypervisor does not report it.
    public var swapUsed: ByteCount?
    /// Processes killed by the kernel for lack of memory; `nil` if the hypervisor does not report it.
    public var outOfMemoryKills: UInt64?
    /// The number of its processes; `nil` if the hypervisor does not report it.
    public var processes: Int?
    /// The maximum number of processes and threads; `nil` if there is no limit or the hypervisor does not report it.
    public var processLimit: UInt64?
    /// Block device traffic; `nil` if the hypervisor does not report it.
    public var blockIO: BlockIO?
    /// The counters of each interface.
    public var interfaces: [Interface]

    /// Creates statistics from the values every hypervisor reports, with the current time as the time of the reading.
    public init(
        cpuTime: Duration, virtualCPUs: Int, memoryUsed: ByteCount, memoryLimit: ByteCount,
        interfaces: [Interface] = []
    ) {
        monotonicTime = .nanoseconds(MonotonicClock.now())
        self.cpuTime = cpuTime
        self.virtualCPUs = virtualCPUs
        self.memoryUsed = memoryUsed
        self.memoryLimit = memoryLimit
        self.interfaces = interfaces
    }

    /// The share of all the host's processors the guest used between two readings, in percent: CloudStack's rule.
    ///
    /// - Parameters:
    ///   - earlier: an earlier reading.
    ///   - hostCPUs: the number of the host's processors.
    /// - Returns: 0 to 100; `nil` if no time has passed or the guest was restarted in between.
    public func cpuPercent(since earlier: GuestStatistics, hostCPUs: Int) -> Double? {
        guard monotonicTime > earlier.monotonicTime, cpuTime >= earlier.cpuTime, hostCPUs > 0 else { return nil }
        let elapsed = (monotonicTime - earlier.monotonicTime) * hostCPUs
        return min(100, (cpuTime - earlier.cpuTime) / elapsed * 100)
    }
}

/// Times are whole numbers of nanoseconds.
extension GuestStatistics: Codable {
    private enum CodingKeys: String, CodingKey {
        case monotonicNanoseconds, cpuNanoseconds, virtualCPUs, memoryUsed, memoryLimit, memoryCache, swapUsed,
            outOfMemoryKills, processes, processLimit, blockIO, interfaces
    }

    /// Reads statistics.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        try self.init(
            cpuTime: .nanoseconds(values.decode(UInt64.self, forKey: .cpuNanoseconds)),
            virtualCPUs: values.decode(Int.self, forKey: .virtualCPUs),
            memoryUsed: values.decode(ByteCount.self, forKey: .memoryUsed),
            memoryLimit: values.decode(ByteCount.self, forKey: .memoryLimit),
            interfaces: values.decode([Interface].self, forKey: .interfaces))
        monotonicTime = .nanoseconds(try values.decode(UInt64.self, forKey: .monotonicNanoseconds))
        memoryCache = try values.decodeIfPresent(ByteCount.self, forKey: .memoryCache)
        swapUsed = try values.decodeIfPresent(ByteCount.self, forKey: .swapUsed)
        outOfMemoryKills = try values.decodeIfPresent(UInt64.self, forKey: .outOfMemoryKills)
        processes = try values.decodeIfPresent(Int.self, forKey: .processes)
        processLimit = try values.decodeIfPresent(UInt64.self, forKey: .processLimit)
        blockIO = try values.decodeIfPresent(BlockIO.self, forKey: .blockIO)
    }

    /// Writes the known values.
    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(monotonicTime.wholeNanoseconds, forKey: .monotonicNanoseconds)
        try values.encode(cpuTime.wholeNanoseconds, forKey: .cpuNanoseconds)
        try values.encode(virtualCPUs, forKey: .virtualCPUs)
        try values.encode(memoryUsed, forKey: .memoryUsed)
        try values.encode(memoryLimit, forKey: .memoryLimit)
        try values.encodeIfPresent(memoryCache, forKey: .memoryCache)
        try values.encodeIfPresent(swapUsed, forKey: .swapUsed)
        try values.encodeIfPresent(outOfMemoryKills, forKey: .outOfMemoryKills)
        try values.encodeIfPresent(processes, forKey: .processes)
        try values.encodeIfPresent(processLimit, forKey: .processLimit)
        try values.encodeIfPresent(blockIO, forKey: .blockIO)
        try values.encode(interfaces, forKey: .interfaces)
    }
}
