public import LXCCore

/// Limits of a guest. `nil` says that there is no such limit.
///
/// ``Change`` says what of them is to become different.
public struct GuestLimits: Hashable, Sendable {
    /// Limits of one of the host's block devices.
    public struct Device: Hashable, Sendable, Codable {
        /// The path of the block device on the host.
        public var path: String
        /// The most that is read in a second.
        public var readBytesPerSecond: ByteCount?
        /// The most that is written in a second.
        public var writeBytesPerSecond: ByteCount?
        /// The most read operations in a second.
        public var readOperationsPerSecond: UInt32?
        /// The most write operations in a second.
        public var writeOperationsPerSecond: UInt32?

        /// Creates a device.
        public init(
            path: String, readBytesPerSecond: ByteCount? = nil, writeBytesPerSecond: ByteCount? = nil,
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
    /// The length of an accounting period, 1 ms to 1 s, which has a meaning with a ``cpuQuota`` alone; `nil` is the
    /// kernel's 100 ms.
    public var cpuPeriod: Duration?
    /// The processor time it may use in one period, at least 1 ms.
    public var cpuQuota: Duration?
    /// The host's processors it may run on.
    public var cpuSet: CPUSet?
    /// The weight against other guests where they share a disk, 100 to 1000.
    public var blockIOWeight: UInt32?
    /// How many processes and threads it can have.
    public var processes: UInt64?
    /// Limits of single block devices.
    public var devices: [Device]

    /// How many processes and threads a container can have where nothing else is said: more than a system with its
    /// services needs, and few enough that a container that makes as many as it can leaves the host room.
    public static let standardProcesses: UInt64 = 4096

    /// The limits of a container where nothing else is said: 512 MiB of memory and ``standardProcesses``.
    public static let standard = GuestLimits(memory: .mebibytes(512), processes: standardProcesses)

    /// Creates guest limits.
    public init(
        memory: ByteCount? = nil, softMemory: ByteCount? = nil, memoryAndSwap: ByteCount? = nil,
        cpuShares: UInt64? = nil, cpuPeriod: Duration? = nil, cpuQuota: Duration? = nil, cpuSet: CPUSet? = nil,
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

    /// Refuses what no hypervisor takes.
    ///
    /// - Throws: `LXCError` `invalidArgument` naming the limit.
    public func check() throws {
        if let memory, memory < .mebibytes(1) { throw Self.fault("memory", "at least 1 MiB") }
        if let memory, let memoryAndSwap, memoryAndSwap < memory {
            throw Self.fault("memory and swap together", "not less than the memory alone")
        }
        if let cpuShares, !(1...262_144).contains(cpuShares) { throw Self.fault("cpu shares", "1 to 262144") }
        if let cpuPeriod, !(.milliseconds(1) ... .seconds(1)).contains(cpuPeriod) {
            throw Self.fault("cpu period", "1000 to 1000000 microseconds")
        }
        if let cpuQuota, cpuQuota < .milliseconds(1) { throw Self.fault("cpu quota", "at least 1000 microseconds") }
        if let blockIOWeight, !(100...1000).contains(blockIOWeight) {
            throw Self.fault("disk weight", "100 to 1000")
        }
        // The kernel's own limit of process numbers (PID_MAX_LIMIT).
        if let processes, !(1...4_194_304).contains(processes) {
            throw Self.fault("number of processes", "1 to 4194304")
        }
        for device in devices {
            guard device.path.hasPrefix("/dev/"), !device.path.contains(",") else {
                throw Self.fault("path of a block device", "below /dev and without commas")
            }
            let bytes = [device.readBytesPerSecond, device.writeBytesPerSecond].compactMap(\.self)
            let operations = [device.readOperationsPerSecond, device.writeOperationsPerSecond].compactMap(\.self)
            guard !bytes.contains(ByteCount(0)), !operations.contains(0) else {
                throw Self.fault("rate of \(device.path.escapedForDisplay)", "above zero")
            }
        }
    }

    private static func fault(_ limit: String, _ rule: String) -> LXCError {
        LXCError(.invalidArgument, "the \(limit) must be \(rule)")
    }
}
