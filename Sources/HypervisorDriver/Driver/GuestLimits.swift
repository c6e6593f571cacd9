public import LXCCore

/// Limits of a guest that can be changed while it runs. In a change, nil leaves a limit as it is; in an answer, nil says
/// that there is none, or that the host cannot keep it.
public struct GuestLimits: Hashable, Sendable, Codable {
    /// Limits of one of the host's block devices.
    public struct Device: Hashable, Sendable, Codable {
        /// The path of the block device on the host.
        public var path: String
        /// The most bytes read in a second; 0 removes the limit.
        public var readBytesPerSecond: UInt64?
        /// The most bytes written in a second; 0 removes the limit.
        public var writeBytesPerSecond: UInt64?
        /// The most read operations in a second; 0 removes the limit.
        public var readOperationsPerSecond: UInt32?
        /// The most write operations in a second; 0 removes the limit.
        public var writeOperationsPerSecond: UInt32?

        /// Creates a device.
        public init(
            path: String, readBytesPerSecond: UInt64? = nil, writeBytesPerSecond: UInt64? = nil,
            readOperationsPerSecond: UInt32? = nil, writeOperationsPerSecond: UInt32? = nil
        ) {
            self.path = path
            self.readBytesPerSecond = readBytesPerSecond
            self.writeBytesPerSecond = writeBytesPerSecond
            self.readOperationsPerSecond = readOperationsPerSecond
            self.writeOperationsPerSecond = writeOperationsPerSecond
        }
    }

    /// The most memory it can use.
    public var memory: ByteCount?
    /// The memory it is reclaimed to under host memory pressure.
    public var softMemory: ByteCount?
    /// The most memory and swap together; not below ``memory``.
    public var memoryAndSwap: ByteCount?
    /// The weight against other guests: 2 to 262144, with control groups of version 2 1 to 10000.
    public var cpuShares: UInt64?
    /// The length of an accounting period in microseconds, 1000 to 1000000.
    public var cpuPeriod: UInt64?
    /// Processor time in microseconds it may use in one period, at least 1000; negative removes the limit.
    public var cpuQuota: Int64?
    /// The host's processors it may run on, as `0-3,8`.
    public var cpuSet: String?
    /// The weight against other guests where they share a disk, 100 to 1000.
    public var blockIOWeight: UInt32?
    /// How many processes and threads it can have; 0 removes the limit.
    public var processes: UInt64?
    /// Limits of single block devices.
    public var devices: [Device]

    /// How many processes and threads a container can have where nothing else is said: more than a system with its
    /// services needs, and few enough that a container that makes as many as it can leaves the host room.
    public static let standardProcesses: UInt64 = 4096

    /// Creates guest limits.
    public init(
        memory: ByteCount? = nil, softMemory: ByteCount? = nil, memoryAndSwap: ByteCount? = nil,
        cpuShares: UInt64? = nil, cpuPeriod: UInt64? = nil, cpuQuota: Int64? = nil, cpuSet: String? = nil,
        blockIOWeight: UInt32? = nil, processes: UInt64? = nil, devices: [Device] = []
    ) {
        self.memory = memory
        self.softMemory = softMemory
        self.memoryAndSwap = memoryAndSwap
        self.cpuShares = cpuShares
        self.cpuPeriod = cpuPeriod
        self.cpuQuota = cpuQuota
        self.cpuSet = cpuSet
        self.blockIOWeight = blockIOWeight
        self.processes = processes
        self.devices = devices
    }

    /// Refuses what no hypervisor takes, before any of it is changed.
    ///
    /// - Throws: `LXCError` `invalidArgument` naming the limit.
    public func check() throws {
        if let memory, memory < .mebibytes(1) { throw Self.fault("memory", "at least 1 MiB") }
        if let memory, let memoryAndSwap, memoryAndSwap < memory {
            throw Self.fault("memory and swap together", "not less than the memory alone")
        }
        if let cpuShares, !(1...262_144).contains(cpuShares) { throw Self.fault("cpu shares", "1 to 262144") }
        if let cpuPeriod, !(1000...1_000_000).contains(cpuPeriod) {
            throw Self.fault("cpu period", "1000 to 1000000 microseconds")
        }
        if let cpuQuota, cpuQuota >= 0, cpuQuota < 1000 {
            throw Self.fault("cpu quota", "at least 1000 microseconds, or negative for none")
        }
        if let cpuSet, CPUSet(cpuSet) == nil { throw Self.fault("cpu set", "a list of processors such as 0-3,8") }
        if let blockIOWeight, !(100...1000).contains(blockIOWeight) {
            throw Self.fault("disk weight", "100 to 1000")
        }
        // The kernel's own limit of process numbers (PID_MAX_LIMIT).
        if let processes, processes > 4_194_304 { throw Self.fault("number of processes", "0 to 4194304") }
        for device in devices where !device.path.hasPrefix("/dev/") || device.path.contains(",") {
            throw Self.fault("path of a block device", "below /dev and without commas")
        }
    }

    private static func fault(_ limit: String, _ rule: String) -> LXCError {
        LXCError(.invalidArgument, "the \(limit) must be \(rule)")
    }
}

/// A list of processors as the kernel writes it (cpuset(7), "List format").
struct CPUSet: Hashable, Sendable, CustomStringConvertible {
    private let processors: Set<Int>

    init?(_ text: String) {
        var processors: Set<Int> = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
            guard (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1],
                (0...last).contains(first), last < 8192
            else { return nil }
            processors.formUnion(first...last)
        }
        self.processors = processors
    }

    /// The shortest list.
    var description: String {
        var ranges: [ClosedRange<Int>] = []
        for processor in processors.sorted() {
            if let last = ranges.last, last.upperBound == processor - 1 {
                ranges[ranges.count - 1] = last.lowerBound...processor
            } else {
                ranges.append(processor...processor)
            }
        }
        return ranges.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }
            .joined(separator: ",")
    }
}
