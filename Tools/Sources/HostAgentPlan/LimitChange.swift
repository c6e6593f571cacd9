// SPDX-License-Identifier: Apache-2.0

import LXCHypervisor

/// The limits of a container that are not as declared.
struct LimitChange {
    private let wanted: LXCHypervisor.ContainerSpecification
    private let found: Plan.Found

    init(_ wanted: LXCHypervisor.ContainerSpecification, _ found: Plan.Found) {
        self.wanted = wanted
        self.found = found
    }

    /// What is to be changed; nil when nothing is.
    var changes: GuestLimits.Change? {
        var change = GuestLimits.Change()
        let (wanted, now) = (wanted.limits, found.limits)
        change.memory = size(wanted.memory, now.memory ?? found.document.memory)
        change.softMemory = size(wanted.softMemory, now.softMemory)
        change.memoryAndSwap = size(wanted.memoryAndSwap, now.memoryAndSwap)
        change.cpuShares = other(wanted.cpuShares, now.cpuShares)
        change.cpuSet = other(wanted.cpuSet, now.cpuSet)
        change.processes = setting(wanted.processes, now.processes ?? kept)
        change.blockIOWeight = other(wanted.blockIOWeight, now.blockIOWeight)
        change.devices = devices
        change.cpuQuota = setting(wanted.cpuQuota, now.cpuQuota)
        // A period means something with a quota alone.
        if wanted.cpuQuota != nil { change.cpuPeriod = other(wanted.cpuPeriod, now.cpuPeriod) }
        return change.isEmpty ? nil : change
    }

    /// Limits that are declared no more and cannot be lifted again.
    var lasting: [String] {
        let set = found.document
        return [
            ("softMemory", wanted.limits.softMemory == nil && set.memoryTuning.softLimit != nil),
            ("memoryAndSwap", wanted.limits.memoryAndSwap == nil && set.memoryTuning.swapHardLimit != nil),
            ("cpuShares", wanted.limits.cpuShares == nil && set.cpuTuning.shares != nil),
            ("cpuSet", wanted.limits.cpuSet == nil && set.virtualCPUs?.cpuSet != nil),
            ("blockIOWeight", wanted.limits.blockIOWeight == nil && set.blockIOTuning.weight != nil),
        ].filter(\.1).map(\.0)
    }

    /// How many processes the container may have as far as its document says; nil for any number.
    private var kept: UInt64? {
        guard let processes = (try? found.document.containerMetadata())?.processes else {
            return GuestLimits.standardProcesses
        }
        return processes == 0 ? nil : processes
    }

    private func other<Value: Equatable>(_ wanted: Value?, _ now: Value?) -> Value? { wanted == now ? nil : wanted }

    /// The kernel counts pages and libvirt KiB: sizes that differ by less than both are equal.
    private func size(_ wanted: ByteCount?, _ now: ByteCount?) -> ByteCount? {
        guard let wanted else { return nil }
        guard let now else { return wanted }
        return max(wanted.bytes, now.bytes) - min(wanted.bytes, now.bytes) < 8192 ? nil : wanted
    }

    private var devices: [GuestLimits.Change.Device] {
        let paths = Set((wanted.limits.devices + found.limits.devices).map(\.path)).sorted()
        return paths.compactMap { path in
            let now = found.limits.devices.first { $0.path == path }
            let wanted = wanted.limits.devices.first { $0.path == path }
            let change = GuestLimits.Change.Device(
                path: path, readBytesPerSecond: setting(wanted?.readBytesPerSecond, now?.readBytesPerSecond),
                writeBytesPerSecond: setting(wanted?.writeBytesPerSecond, now?.writeBytesPerSecond),
                readOperationsPerSecond: setting(wanted?.readOperationsPerSecond, now?.readOperationsPerSecond),
                writeOperationsPerSecond: setting(wanted?.writeOperationsPerSecond, now?.writeOperationsPerSecond))
            return change.isEmpty ? nil : change
        }
    }

    /// What becomes of a limit that is lifted where it is not declared.
    private func setting<Value>(_ wanted: Value?, _ now: Value?) -> GuestLimits.Change.Setting<Value>? {
        wanted == now ? nil : wanted.map { .limit($0) } ?? .unlimited
    }
}
