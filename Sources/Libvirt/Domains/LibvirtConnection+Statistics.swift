// SPDX-License-Identifier: Apache-2.0

import CLibvirt
public import LXCCore

/// A domain's memory statistics; `nil` for values the driver does not report.
public struct MemoryStatistics: Hashable, Sendable {
    /// The present limit: of a container's memory, or of a virtual machine's balloon.
    public var actual: ByteCount?
    /// The part in the host's memory.
    public var resident: ByteCount?
    /// The memory visible to the guest.
    public var available: ByteCount?
    /// The memory the guest does not use at all.
    public var unused: ByteCount?
    /// The memory the guest could use without swapping.
    public var usable: ByteCount?
    /// Swapped in since the start; for a container the swap it uses.
    public var swapIn: ByteCount?
    /// Swapped out since the start.
    public var swapOut: ByteCount?
    /// Page faults that needed a disk.
    public var majorFaults: UInt64?
    /// Page faults that did not.
    public var minorFaults: UInt64?
}

/// CPU time of a domain since it started, in nanoseconds.
public struct CPUStatistics: Hashable, Sendable {
    /// All of it.
    public var total: UInt64
    /// In user mode, if the driver reports it; in ticks of 10 ms.
    public var user: UInt64?
    /// In the kernel, if the driver reports it; in ticks of 10 ms.
    public var system: UInt64?
}

/// The traffic of a NIC since it was plugged in. Receiving is the guest's.
public struct InterfaceStatistics: Hashable, Sendable {
    /// Bytes the guest received.
    public var receivedBytes: UInt64
    /// Packets the guest received.
    public var receivedPackets: UInt64
    /// Packets lost to errors on their way in.
    public var receiveErrors: UInt64
    /// Packets dropped on their way in.
    public var receiveDrops: UInt64
    /// Bytes the guest sent.
    public var sentBytes: UInt64
    /// Packets the guest sent.
    public var sentPackets: UInt64
    /// Packets lost to errors on their way out.
    public var sendErrors: UInt64
    /// Packets dropped on their way out.
    public var sendDrops: UInt64
}

/// The data a domain has read from and written to disks.
public struct BlockStatistics: Hashable, Sendable {
    /// Requests to read.
    public var readRequests: UInt64
    /// Bytes read.
    public var readBytes: UInt64
    /// Requests to write.
    public var writeRequests: UInt64
    /// Bytes written.
    public var writtenBytes: UInt64
}

/// The resource usage of domains. All of these throw `invalidState` for a domain that does not run.
extension LibvirtConnection {
    /// Memory, CPUs and CPU time at a glance; the one of these that also answers for a domain that does not run.
    public func info(of domain: String) async throws -> DomainInfo {
        try await withDomain(domain) { try $0.info() }
    }

    /// The domain's memory.
    public func memoryStatistics(of domain: String) async throws -> MemoryStatistics {
        try await withDomain(domain) { domain in
            let room = Int(VIR_DOMAIN_MEMORY_STAT_NR.rawValue)
            var values = [virDomainMemoryStatStruct](repeating: virDomainMemoryStatStruct(), count: room)
            let count = virDomainMemoryStats(domain.raw, &values, UInt32(room), 0)
            try domain.check(count, "read the memory statistics of")
            return MemoryStatistics(values.prefix(Int(count)))
        }
    }

    /// The domain's CPU time.
    ///
    /// - Throws: `LXCError` `unsupported` where the driver cannot tell.
    public func cpuStatistics(of domain: String) async throws -> CPUStatistics {
        try await withDomain(domain) { domain in
            let room = virDomainGetCPUStats(domain.raw, nil, 0, -1, 1, 0)
            try domain.check(room, "read the CPU statistics of")
            var list = TypedParameterList(room: room)
            let raw = domain.raw
            let result = list.filled { parameters, count in
                count = virDomainGetCPUStats(raw, parameters, UInt32(count), -1, 1, 0)
                return count
            }
            try domain.check(result, "read the CPU statistics of")
            let values = list.values()
            return CPUStatistics(
                total: values["cpu_time"]?.asUInt64 ?? 0, user: values["user_time"]?.asUInt64,
                system: values["system_time"]?.asUInt64)
        }
    }

    /// The traffic of one NIC; `device` is the NIC's name on the host, or its MAC address.
    ///
    /// - Throws: `LXCError` `invalidArgument` when the domain has no such NIC.
    public func interfaceStatistics(of domain: String, device: String) async throws -> InterfaceStatistics {
        try requireNoNUL(device, "the device name")
        return try await withDomain(domain) {
            var value = virDomainInterfaceStatsStruct()
            let size = MemoryLayout<virDomainInterfaceStatsStruct>.size
            let doing = "read the statistics of \"\(device.escapedForDisplay)\" of"
            try $0.check(virDomainInterfaceStats($0.raw, device, &value, size), doing)
            return InterfaceStatistics(value)
        }
    }

    /// The data the domain has read and written; `device` is a disk's target or source, empty for all disks of a
    /// container.
    ///
    /// - Throws: `LXCError` `unsupported` or `invalidArgument` where the driver cannot tell.
    public func blockStatistics(of domain: String, device: String = "") async throws -> BlockStatistics {
        try requireNoNUL(device, "the device name")
        return try await withDomain(domain) {
            var value = virDomainBlockStatsStruct()
            let size = MemoryLayout<virDomainBlockStatsStruct>.size
            try $0.check(virDomainBlockStats($0.raw, device, &value, size), "read the disk statistics of")
            return BlockStatistics(
                readRequests: known(value.rd_req), readBytes: known(value.rd_bytes),
                writeRequests: known(value.wr_req), writtenBytes: known(value.wr_bytes))
        }
    }
}

/// libvirt's counters are -1 where it does not know.
private func known(_ counter: Int64) -> UInt64 { UInt64(max(0, counter)) }

extension MemoryStatistics {
    fileprivate init(_ values: some Sequence<virDomainMemoryStatStruct>) {
        for value in values {
            switch virDomainMemoryStatTags(rawValue: UInt32(bitPattern: value.tag)) {
            case VIR_DOMAIN_MEMORY_STAT_ACTUAL_BALLOON: actual = .kibibytes(value.val)
            case VIR_DOMAIN_MEMORY_STAT_RSS: resident = .kibibytes(value.val)
            case VIR_DOMAIN_MEMORY_STAT_AVAILABLE: available = .kibibytes(value.val)
            case VIR_DOMAIN_MEMORY_STAT_UNUSED: unused = .kibibytes(value.val)
            case VIR_DOMAIN_MEMORY_STAT_USABLE: usable = .kibibytes(value.val)
            case VIR_DOMAIN_MEMORY_STAT_SWAP_IN: swapIn = .kibibytes(value.val)
            case VIR_DOMAIN_MEMORY_STAT_SWAP_OUT: swapOut = .kibibytes(value.val)
            case VIR_DOMAIN_MEMORY_STAT_MAJOR_FAULT: majorFaults = value.val
            case VIR_DOMAIN_MEMORY_STAT_MINOR_FAULT: minorFaults = value.val
            default: break
            }
        }
    }
}

extension InterfaceStatistics {
    fileprivate init(_ value: virDomainInterfaceStatsStruct) {
        receivedBytes = known(value.rx_bytes)
        receivedPackets = known(value.rx_packets)
        receiveErrors = known(value.rx_errs)
        receiveDrops = known(value.rx_drop)
        sentBytes = known(value.tx_bytes)
        sentPackets = known(value.tx_packets)
        sendErrors = known(value.tx_errs)
        sendDrops = known(value.tx_drop)
    }
}
