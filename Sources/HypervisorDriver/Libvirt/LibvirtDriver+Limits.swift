// SPDX-License-Identifier: Apache-2.0

import LXCCore
import Libvirt
import LibvirtXML

/// The limits that libvirt itself knows and changes: memory, processor time, disks.
extension LibvirtDriver {
    /// Reads the limits libvirt knows.
    func libvirtLimits(of guest: GuestName, _ document: Domain) async throws -> GuestLimits {
        let name = guest.description
        let memory = try await connection.memoryParameters(of: name)
        // The shares alone: what the daemon tells beyond them it cannot be asked for when the container may end.
        let scheduler = try await connection.schedulerParameters(of: name, first: 1)
        // Without a controller for disks the rest is still worth telling.
        let disks = (try? await connection.blockIOParameters(of: name)) ?? [:]
        var limits = GuestLimits(
            memory: Self.size(memory["hard_limit"]), softMemory: Self.size(memory["soft_limit"]),
            memoryAndSwap: Self.size(memory["swap_hard_limit"]), cpuShares: Self.limit(scheduler["cpu_shares"]),
            blockIOWeight: Self.limit(disks["weight"]).flatMap { UInt32(exactly: $0) })
        if let quota = document.cpuTuning.quota, quota > 0, quota < Self.noQuota {
            limits.cpuQuota = .microseconds(quota)
            limits.cpuPeriod = document.cpuTuning.period.map { .microseconds($0) }
        }
        limits.devices = Self.devices(disks)
        return limits
    }

    /// Checks all limits, and changes those that libvirt knows.
    ///
    /// - Returns: the domain as it was found.
    func setLibvirtLimits(_ change: GuestLimits.Change, of guest: GuestName) async throws -> DomainSummary {
        try change.check()
        let name = guest.description
        let summary = try await connection.summary(of: name)
        let impact = summary.impact
        try await setMemory(change, of: name, impact)

        var scheduler: [String: TypedValue] = [:]
        scheduler["cpu_shares"] = change.cpuShares.map { .unsignedLong($0) }
        scheduler["vcpu_period"] = change.cpuPeriod.map { .unsignedLong($0.wholeMicroseconds) }
        scheduler["vcpu_quota"] = change.cpuQuota.map { quota in
            .long(quota.limit.map { Int64(clamping: $0.wholeMicroseconds) } ?? -1)
        }
        if !scheduler.isEmpty { try await connection.setSchedulerParameters(scheduler, of: name, affecting: impact) }

        let disks = Self.parameters(change)
        if !disks.isEmpty { try await connection.setBlockIOParameters(disks, of: name, affecting: impact) }
        return summary
    }

    /// Stores the processors of a guest for its next starts.
    func storeCPUSet(_ set: CPUSet, of guest: GuestName, _ summary: DomainSummary) async throws {
        guard summary.isPersistent else { return }
        var domain = try await Domain(xml: connection.xml(of: guest.description, options: .inactive))
        domain.virtualCPUs = VirtualCPUs(count: domain.virtualCPUs?.count ?? 1, cpuSet: set.description)
        _ = try await connection.define(xml: domain.xml(), validating: true)
    }

    /// The kernel refuses memory above memory and swap together at any moment, so growing begins with the sum, and
    /// shrinking with the memory.
    private func setMemory(_ change: GuestLimits.Change, of name: String, _ impact: ModificationImpact) async throws {
        func set(_ key: String, _ value: ByteCount?) async throws {
            guard let value else { return }
            try await connection.setMemoryParameters(
                [key: .unsignedLong(value.kibibytes)], of: name, affecting: impact)
        }
        let sum = Self.size(try await connection.memoryParameters(of: name)["swap_hard_limit"])
        if let memory = change.memory, let sum, memory > sum {
            guard change.memoryAndSwap != nil else {
                throw LXCError(
                    .invalidArgument,
                    "\(name.escapedForDisplay) may use \(sum) of memory and swap together; raise that with the memory")
            }
            try await set("swap_hard_limit", change.memoryAndSwap)
            try await set("hard_limit", change.memory)
        } else {
            try await set("hard_limit", change.memory)
            try await set("swap_hard_limit", change.memoryAndSwap)
        }
        try await set("soft_limit", change.softMemory)
    }

    /// 0 is what libvirt says where a stopped guest has none.
    private static func limit(_ value: TypedValue?) -> UInt64? { value?.asUInt64.flatMap { $0 == 0 ? nil : $0 } }

    /// libvirt's number for no limit: 2⁵³ − 1 KiB.
    private static func size(_ value: TypedValue?) -> ByteCount? {
        value?.asUInt64.flatMap { $0 >= 9_007_199_254_740_991 || $0 == 0 ? nil : .kibibytes($0) }
    }

    /// What libvirt reads back where there is no quota.
    private static var noQuota: Int64 { 17_592_186_044_415 }

    // MARK: Disks

    private static var deviceKeys: [String] {
        ["device_read_bytes_sec", "device_write_bytes_sec", "device_read_iops_sec", "device_write_iops_sec"]
    }

    private static func parameters(_ change: GuestLimits.Change) -> [String: TypedValue] {
        var parameters: [String: TypedValue] = [:]
        parameters["weight"] = change.blockIOWeight.map { .unsigned($0) }
        // libvirt takes 0 for no limit.
        let values: [(GuestLimits.Change.Device) -> UInt64?] = [
            { $0.readBytesPerSecond.map { $0.limit?.bytes ?? 0 } },
            { $0.writeBytesPerSecond.map { $0.limit?.bytes ?? 0 } },
            { $0.readOperationsPerSecond.map { UInt64($0.limit ?? 0) } },
            { $0.writeOperationsPerSecond.map { UInt64($0.limit ?? 0) } },
        ]
        for (key, value) in zip(deviceKeys, values) {
            let list = change.devices.compactMap { device in value(device).map { "\(device.path),\($0)" } }
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
                guard let number = UInt64(parts[index + 1]), number > 0 else { continue }
                let path = parts[index]
                var device = devices[path] ?? GuestLimits.Device(path: path)
                switch key {
                case deviceKeys[0]: device.readBytesPerSecond = ByteCount(number)
                case deviceKeys[1]: device.writeBytesPerSecond = ByteCount(number)
                case deviceKeys[2]: device.readOperationsPerSecond = UInt32(exactly: number)
                default: device.writeOperationsPerSecond = UInt32(exactly: number)
                }
                devices[path] = device
            }
        }
        return devices.values.sorted { $0.path < $1.path }
    }
}
