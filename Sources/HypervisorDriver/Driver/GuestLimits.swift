// SPDX-License-Identifier: Apache-2.0

public import LXCCore

/// Limits of a guest. `nil` means no limit.
///
/// ``Change`` describes a change of them.
public struct GuestLimits: Hashable, Sendable {
    /// Limits of one of the host's block devices.
    public struct Device: Hashable, Sendable, Codable {
        /// The path of the block device on the host.
        public var path: String
        /// The maximum read rate, per second.
        public var readBytesPerSecond: ByteCount?
        /// The maximum write rate, per second.
        public var writeBytesPerSecond: ByteCount?
        /// The maximum number of read operations per second.
        public var readOperationsPerSecond: UInt32?
        /// The maximum number of write operations per second.
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

    /// The maximum memory.
    public var memory: ByteCount?
    /// The memory it is reclaimed to under host memory pressure.
    public var softMemory: ByteCount?
    /// The maximum of memory and swap together; not less than ``memory``.
    public var memoryAndSwap: ByteCount?
    /// The weight relative to other guests: 2 to 262144, or 1 to 10000 with control groups version 2.
    public var cpuShares: UInt64?
    /// The length of an accounting period, 1 ms to 1 s, effective only with a ``cpuQuota``; `nil` uses the kernel's 100
    /// ms.
    public var cpuPeriod: Duration?
    /// The processor time it may use per period, at least 1 ms.
    public var cpuQuota: Duration?
    /// The host's processors it may run on.
    public var cpuSet: CPUSet?
    /// The weight relative to other guests that share a disk, 100 to 1000.
    public var blockIOWeight: UInt32?
    /// The maximum number of processes and threads.
    public var processes: UInt64?
    /// Limits of individual block devices.
    public var devices: [Device]

    /// The default maximum number of processes and threads in a container: more than a system with its services needs,
    /// and few enough that a container that creates as many as it can leaves room for the host.
    public static let standardProcesses: UInt64 = 4096

    /// The default limits of a container: 512 MiB of memory and ``standardProcesses``.
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

    /// Rejects values that no hypervisor accepts.
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
        // The kernel's own limit on process ids (PID_MAX_LIMIT).
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
