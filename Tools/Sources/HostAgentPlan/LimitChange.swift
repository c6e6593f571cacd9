import LXCHypervisor

/// The limits of a container that are not as declared.
struct LimitChange {
    private let wanted: LXCHypervisor.ContainerSpecification
    private let found: Plan.Found

    init(_ wanted: LXCHypervisor.ContainerSpecification, _ found: Plan.Found) {
        self.wanted = wanted
        self.found = found
    }

    /// The limits to change; nil if there are none.
    var changes: GuestLimits? {
        var change = GuestLimits()
        let now = found.limits
        change.memory = size(wanted.memory, now.memory ?? found.document.memory)
        change.softMemory = size(wanted.softMemory, now.softMemory)
        change.memoryAndSwap = size(wanted.memoryAndSwap, now.memoryAndSwap)
        change.cpuShares = other(wanted.cpu.shares.map(UInt64.init), now.cpuShares)
        change.cpuSet = wanted.cpu.set.flatMap { Self.processors($0) == now.cpuSet.flatMap(Self.processors) ? nil : $0 }
        change.processes = other(wanted.processes, now.processes ?? kept)
        change.blockIOWeight = other(wanted.blockIOWeight, now.blockIOWeight)
        change.devices = devices
        setQuota(in: &change)
        return change == GuestLimits() ? nil : change
    }

    /// Limits that are declared no more and cannot be lifted again.
    var lasting: [String] {
        let set = found.document
        return [
            ("softMemory", wanted.softMemory == nil && set.memoryTuning.softLimit != nil),
            ("memoryAndSwap", wanted.memoryAndSwap == nil && set.memoryTuning.swapHardLimit != nil),
            ("cpuShares", wanted.cpu.shares == nil && set.cpuTuning.shares != nil),
            ("cpuSet", wanted.cpu.set == nil && set.virtualCPUs?.cpuSet != nil),
            ("blockIOWeight", wanted.blockIOWeight == nil && set.blockIOTuning.weight != nil),
        ].filter(\.1).map(\.0)
    }

    /// The container's stored limit of processes; no limit is 0.
    private var kept: UInt64 {
        let metadata = try? found.document.containerMetadata()
        return metadata?.processes ?? GuestLimits.standardProcesses
    }

    private func other<Value: Equatable>(_ wanted: Value?, _ now: Value?) -> Value? { wanted == now ? nil : wanted }

    /// The kernel counts pages and libvirt KiB: sizes that differ by less than both are equal.
    private func size(_ wanted: ByteCount?, _ now: ByteCount?) -> ByteCount? {
        guard let wanted else { return nil }
        guard let now else { return wanted }
        return max(wanted.bytes, now.bytes) - min(wanted.bytes, now.bytes) < 8192 ? nil : wanted
    }

    /// A period means something with a quota alone; a quota can be lifted.
    private func setQuota(in change: inout GuestLimits) {
        guard let quota = wanted.cpu.quota, quota > 0 else {
            if found.limits.cpuQuota != nil { change.cpuQuota = -1 }
            return
        }
        change.cpuQuota = other(quota, found.limits.cpuQuota)
        change.cpuPeriod = other(wanted.cpu.period, found.limits.cpuPeriod)
    }

    private var devices: [GuestLimits.Device] {
        let paths = Set((wanted.blockIODevices + found.limits.devices).map(\.path)).sorted()
        return paths.compactMap { path in
            let now = found.limits.devices.first { $0.path == path }
            let wanted = wanted.blockIODevices.first { $0.path == path }
            let change = GuestLimits.Device(
                path: path, readBytesPerSecond: rate(wanted?.readBytesPerSecond, now?.readBytesPerSecond),
                writeBytesPerSecond: rate(wanted?.writeBytesPerSecond, now?.writeBytesPerSecond),
                readOperationsPerSecond: rate(wanted?.readOperationsPerSecond, now?.readOperationsPerSecond),
                writeOperationsPerSecond: rate(wanted?.writeOperationsPerSecond, now?.writeOperationsPerSecond))
            return change == GuestLimits.Device(path: path) ? nil : change
        }
    }

    /// No limit is 0.
    private func rate<Value: FixedWidthInteger>(_ wanted: Value?, _ now: Value?) -> Value? {
        (wanted ?? 0) == (now ?? 0) ? nil : wanted ?? 0
    }

    /// The processors of a list such as `0-3,8` (cpuset(7), "List format"); an invalid list equals no other.
    private static func processors(_ list: String) -> Set<Int>? {
        var processors: Set<Int> = []
        for part in list.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false).compactMap { Int($0) }
            guard let first = ends.first, let last = ends.last, ends.count <= 2, (0...last).contains(first), last < 8192
            else { return nil }
            processors.formUnion(first...last)
        }
        return processors
    }
}
