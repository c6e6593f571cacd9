// SPDX-License-Identifier: Apache-2.0

import CLibvirt
public import LXCCore

/// Limits of domains, read and changed while they run.
///
/// A getter of limits that libvirt stores in cgroups throws `invalidState` for the running configuration of a domain
/// that does not run.
extension LibvirtConnection {
    /// CPU limits: `cpu_shares`, `vcpu_period`, `vcpu_quota` and what else the driver knows.
    ///
    /// The daemon of libvirt 9.0 crashes when it is asked for more than the first of a container that does not run
    /// (lxcDomainGetSchedulerParametersFlags looks at the control group before it looks whether there is one), or that ends
    /// at that moment.
    ///
    /// - Parameters:
    ///   - domain: the domain's name.
    ///   - count: the maximum number of processors: the first ones.
    ///   - impact: the running domain's or the stored ones; by default those in force.
    /// - Returns: the limits by name.
    /// - Throws: `LXCError` `notFound`, `unavailable`, `hypervisor`.
    public func schedulerParameters(
        of domain: String, first count: Int32 = .max, affecting impact: ModificationImpact = []
    ) async throws -> [String: TypedValue] {
        try await withDomain(domain) { domain in
            var room: Int32 = 0
            guard let type = virDomainGetSchedulerType(domain.raw, &room) else {
                throw LXCError.lastLibvirt("read the scheduler of the \(domain.shown)")
            }
            _ = takeString(type)
            var list = TypedParameterList(room: min(room, count))
            let raw = domain.raw
            let result = list.filled { virDomainGetSchedulerParametersFlags(raw, $0, &$1, impact.rawValue) }
            try domain.check(result, "read the CPU limits of")
            return list.values()
        }
    }

    /// Changes CPU limits.
    ///
    /// - Throws: `LXCError` `invalidArgument` for a parameter the driver does not know or of another type.
    public func setSchedulerParameters(
        _ parameters: [String: TypedValue], of domain: String, affecting impact: ModificationImpact
    ) async throws {
        try await withDomain(domain, .changing) {
            let list = try TypedParameterList(parameters)
            let result = virDomainSetSchedulerParametersFlags($0.raw, list.raw, list.count, impact.rawValue)
            try $0.check(result, "change the CPU limits of")
        }
    }

    /// Memory limits in KiB: `hard_limit`, `soft_limit`, `swap_hard_limit` where the host counts swap.
    public func memoryParameters(
        of domain: String, affecting impact: ModificationImpact = []
    ) async throws -> [String: TypedValue] {
        try await withDomain(domain) { domain in
            try domain.parameters("read the memory limits of") {
                virDomainGetMemoryParameters($0, $1, $2, impact.rawValue)
            }
        }
    }

    /// Changes memory limits, in KiB.
    ///
    /// - Throws: `LXCError` `invalidArgument` for a parameter the driver does not know or of another type.
    public func setMemoryParameters(
        _ parameters: [String: TypedValue], of domain: String, affecting impact: ModificationImpact
    ) async throws {
        try await withDomain(domain, .changing) {
            let list = try TypedParameterList(parameters)
            let result = virDomainSetMemoryParameters($0.raw, list.raw, list.count, impact.rawValue)
            try $0.check(result, "change the memory limits of")
        }
    }

    /// Changes the memory a domain may use; at most its maximum.
    public func setMemory(
        _ memory: ByteCount, of domain: String, affecting impact: ModificationImpact
    ) async throws {
        try await withDomain(domain, .changing) {
            let result = virDomainSetMemoryFlags($0.raw, UInt(memory.kibibytes), impact.rawValue)
            try $0.check(result, "change the memory of")
        }
    }

    /// Changes the maximum of a domain's memory; most drivers take it only into the stored definition.
    public func setMaximumMemory(
        _ memory: ByteCount, of domain: String, affecting impact: ModificationImpact
    ) async throws {
        let flags = impact.rawValue | UInt32(VIR_DOMAIN_MEM_MAXIMUM.rawValue)
        try await withDomain(domain, .changing) {
            try $0.check(
                virDomainSetMemoryFlags($0.raw, UInt(memory.kibibytes), flags), "change the maximum memory of")
        }
    }

    /// Disk I/O limits: `weight` and the `device_…` lists.
    public func blockIOParameters(
        of domain: String, affecting impact: ModificationImpact = []
    ) async throws -> [String: TypedValue] {
        try await withDomain(domain) { domain in
            try domain.parameters("read the disk I/O limits of") {
                virDomainGetBlkioParameters($0, $1, $2, impact.rawValue)
            }
        }
    }

    /// Changes disk I/O limits.
    ///
    /// - Throws: `LXCError` `invalidArgument` for a parameter the driver does not know or of another type.
    public func setBlockIOParameters(
        _ parameters: [String: TypedValue], of domain: String, affecting impact: ModificationImpact
    ) async throws {
        try await withDomain(domain, .changing) {
            let list = try TypedParameterList(parameters)
            let result = virDomainSetBlkioParameters($0.raw, list.raw, list.count, impact.rawValue)
            try $0.check(result, "change the disk I/O limits of")
        }
    }
}

extension DomainHandle {
    /// Reads parameters with one of libvirt's getters, after asking it for their number.
    borrowing func parameters(
        _ doing: String, _ get: (virDomainPtr, virTypedParameterPtr?, UnsafeMutablePointer<Int32>) -> Int32
    ) throws(LXCError) -> [String: TypedValue] {
        var room: Int32 = 0
        try check(get(raw, nil, &room), doing)
        var list = TypedParameterList(room: room)
        let pointer = raw
        try check(list.filled { get(pointer, $0, &$1) }, doing)
        return list.values()
    }
}
