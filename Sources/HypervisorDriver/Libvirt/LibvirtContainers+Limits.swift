// SPDX-License-Identifier: Apache-2.0

public import LXCCore
import Libvirt
import LibvirtXML

/// Limits beyond those libvirt itself changes. The processors a container runs on are changed in its control group, where
/// libvirt has put them at the start; how many processes it has is limited there alone.
extension LibvirtContainers {
    /// Reads the limits.
    public func limits(of guest: GuestName) async throws -> GuestLimits {
        let document = try await definition(of: guest)
        var limits = try await libvirtLimits(of: guest, document)
        // Where nothing else is said a container's memory is its limit.
        limits.memory = limits.memory ?? document.memory
        limits.cpuSet = try await cpuSet(of: guest)
        limits.processes = try await processLimit(of: guest)
        return limits
    }

    /// Changes the limits that are given. All are checked before the first is changed.
    public func setLimits(_ change: GuestLimits.Change, of guest: GuestName) async throws {
        let summary = try await setLibvirtLimits(change, of: guest)
        if let set = change.cpuSet { try await setCPUSet(set, of: guest, summary) }
        if let processes = change.processes { try await setProcessLimit(processes.limit, of: guest, summary) }
    }

    private func cpuSet(of guest: GuestName) async throws -> CPUSet? {
        if hasProcessesHere, let id = try await self.guest(guest).id {
            let set = try await BlockingPool.shared.run { _ in try ControlGroupMounts.current().group(of: id)?.cpuSet }
            if let set { return set }
        }
        return try await definition(of: guest).virtualCPUs?.cpuSet.map { try CPUSet(parsing: $0) }
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
        try await storeCPUSet(set, of: guest, summary)
    }
}
