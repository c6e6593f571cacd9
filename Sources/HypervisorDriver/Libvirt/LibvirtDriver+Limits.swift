public import LXCCore
import Libvirt
import LibvirtXML

/// Limits. What libvirt's LXC driver can change it changes: memory, processor time, disks. The processors a container
/// runs on are changed in its control group, where libvirt has put them at the start; how many processes it has is limited
/// there alone.
extension LibvirtDriver {
    /// Reads the limits.
    public func limits(of guest: GuestName) async throws -> GuestLimits {
        let name = guest.description
        let memory = try await connection.memoryParameters(of: name)
        // The shares alone: what the daemon tells beyond them it cannot be asked for when the container may end.
        let scheduler = try await connection.schedulerParameters(of: name, first: 1)
        let document = try await definition(of: guest)
        // Without a controller for disks the rest is still worth telling.
        let disks = (try? await connection.blockIOParameters(of: name)) ?? [:]
        var limits = GuestLimits(
            // Where nothing else is said a container's memory is its limit.
            memory: Self.size(memory["hard_limit"]) ?? (kind == .lxc ? document.memory : nil),
            softMemory: Self.size(memory["soft_limit"]),
            memoryAndSwap: Self.size(memory["swap_hard_limit"]), cpuShares: Self.limit(scheduler["cpu_shares"]),
            blockIOWeight: Self.limit(disks["weight"]).flatMap { UInt32(exactly: $0) })
        if let quota = document.cpuTuning.quota, quota > 0, quota < Self.noQuota {
            limits.cpuQuota = quota
            limits.cpuPeriod = document.cpuTuning.period
        }
        limits.devices = Self.devices(disks)
        limits.cpuSet = try await cpuSet(of: guest)
        limits.processes = try await processLimit(of: guest)
        return limits
    }

    /// Changes the limits that are given. All are checked before the first is changed.
    public func setLimits(_ limits: GuestLimits, of guest: GuestName) async throws {
        try limits.check()
        let name = guest.description
        let summary = try await connection.summary(of: name)
        var impact: ModificationImpact = []
        if summary.isActive { impact.insert(.live) }
        if summary.isPersistent { impact.insert(.config) }
        try await setMemory(limits, of: name, impact)

        var scheduler: [String: TypedValue] = [:]
        scheduler["cpu_shares"] = limits.cpuShares.map { .unsignedLong($0) }
        scheduler["vcpu_period"] = limits.cpuPeriod.map { .unsignedLong($0) }
        scheduler["vcpu_quota"] = limits.cpuQuota.map { .long(max($0, -1)) }
        if !scheduler.isEmpty { try await connection.setSchedulerParameters(scheduler, of: name, affecting: impact) }

        let disks = Self.parameters(limits)
        if !disks.isEmpty { try await connection.setBlockIOParameters(disks, of: name, affecting: impact) }
        if let set = limits.cpuSet.flatMap(CPUSet.init) { try await setCPUSet(set, of: guest, summary) }
        if let processes = limits.processes { try await setProcessLimit(processes, of: guest, summary) }
    }

    /// The kernel refuses memory above memory and swap together at any moment, so growing begins with the sum, and
    /// shrinking with the memory.
    private func setMemory(_ limits: GuestLimits, of name: String, _ impact: ModificationImpact) async throws {
        func set(_ key: String, _ value: ByteCount?) async throws {
            guard let value else { return }
            try await connection.setMemoryParameters(
                [key: .unsignedLong(value.kibibytes)], of: name, affecting: impact)
        }
        let sum = Self.size(try await connection.memoryParameters(of: name)["swap_hard_limit"])
        if let memory = limits.memory, let sum, memory > sum {
            guard limits.memoryAndSwap != nil else {
                throw LXCError(
                    .invalidArgument,
                    "\(name.escapedForDisplay) may use \(sum) of memory and swap together; raise that with the memory")
            }
            try await set("swap_hard_limit", limits.memoryAndSwap)
            try await set("hard_limit", limits.memory)
        } else {
            try await set("hard_limit", limits.memory)
            try await set("swap_hard_limit", limits.memoryAndSwap)
        }
        try await set("soft_limit", limits.softMemory)
    }

    /// 0 is what libvirt says where a stopped guest has none.
    private static func limit(_ value: TypedValue?) -> UInt64? { value?.asUInt64.flatMap { $0 == 0 ? nil : $0 } }

    /// libvirt's number for no limit: 2⁵³ − 1 KiB.
    private static func size(_ value: TypedValue?) -> ByteCount? {
        value?.asUInt64.flatMap { $0 >= 9_007_199_254_740_991 || $0 == 0 ? nil : .kibibytes($0) }
    }

    /// What libvirt reads back where there is no quota.
    private static let noQuota: Int64 = 17_592_186_044_415

    // MARK: Disks

    private static let deviceKeys = [
        "device_read_bytes_sec", "device_write_bytes_sec", "device_read_iops_sec", "device_write_iops_sec",
    ]

    private static func parameters(_ limits: GuestLimits) -> [String: TypedValue] {
        var parameters: [String: TypedValue] = [:]
        parameters["weight"] = limits.blockIOWeight.map { .unsigned($0) }
        let values: [(GuestLimits.Device) -> UInt64?] = [
            \.readBytesPerSecond, \.writeBytesPerSecond, { $0.readOperationsPerSecond.map(UInt64.init) },
            { $0.writeOperationsPerSecond.map(UInt64.init) },
        ]
        for (key, value) in zip(deviceKeys, values) {
            let list = limits.devices.compactMap { device in value(device).map { "\(device.path),\($0)" } }
            if !list.isEmpty { parameters[key] = .string(list.joined(separator: ",")) }
        }
        return parameters
    }

    private static func devices(_ parameters: [String: TypedValue]) -> [GuestLimits.Device] {
        var devices: [String: GuestLimits.Device] = [:]
        for key in deviceKeys {
            guard case .string(let text)? = parameters[key] else { continue }
            let parts = text.split(separator: ",").map(String.init)
            for index in stride(from: 0, to: parts.count - 1, by: 2) {
                let (path, number) = (parts[index], UInt64(parts[index + 1]) ?? 0)
                var device = devices[path] ?? GuestLimits.Device(path: path)
                switch key {
                case deviceKeys[0]: device.readBytesPerSecond = number
                case deviceKeys[1]: device.writeBytesPerSecond = number
                case deviceKeys[2]: device.readOperationsPerSecond = UInt32(exactly: number)
                default: device.writeOperationsPerSecond = UInt32(exactly: number)
                }
                devices[path] = device
            }
        }
        return devices.values.sorted { $0.path < $1.path }
    }

    // MARK: Processors

    private func cpuSet(of guest: GuestName) async throws -> String? {
        if hasProcessesHere, let id = try await self.guest(guest).id {
            let set = try await BlockingPool.shared.run { _ in try ControlGroupMounts.current().group(of: id)?.cpuSet }
            if let set { return set.description }
        }
        return try await definition(of: guest).virtualCPUs?.cpuSet
    }

    private func setCPUSet(_ set: CPUSet, of guest: GuestName, _ summary: DomainSummary) async throws {
        if let id = summary.identity.id {
            guard hasProcessesHere else {
                throw LXCError(.unsupported, "the processors \(guest) runs on can only be changed on its own host")
            }
            try await BlockingPool.shared.run { _ in
                guard let group = try ControlGroupMounts.current().group(of: id) else {
                    throw LXCError(.invalidState, "\(guest) has just ended")
                }
                try group.setCPUSet(set)
            }
        }
        guard summary.isPersistent else { return }
        var domain = try await Domain(xml: connection.xml(of: guest.description, options: .inactive))
        domain.virtualCPUs = VirtualCPUs(count: domain.virtualCPUs?.count ?? 1, cpuSet: set.description)
        _ = try await connection.define(xml: domain.xml(), validating: true)
    }
}
