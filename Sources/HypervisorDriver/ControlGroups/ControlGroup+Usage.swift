// SPDX-License-Identifier: Apache-2.0

import LXCCore
import LinuxSystem

/// The resource usage of a guest in the kernel's accounting.
extension ControlGroup {
    /// Processor time in nanoseconds.
    var cpuNanoseconds: UInt64? {
        guard let (path, isUnified) = directory(of: "cpuacct") else { return nil }
        if isUnified { return Self.table("\(path)/cpu.stat")["usage_usec"].map { $0 &* 1000 } }
        return Self.number("\(path)/cpuacct.usage")
    }

    /// Adds the memory usage to the statistics.
    func readMemory(into statistics: inout GuestStatistics) {
        guard let (path, isUnified) = directory(of: "memory") else { return }
        let counters = Self.table("\(path)/memory.stat")
        if let used = Self.number(isUnified ? "\(path)/memory.current" : "\(path)/memory.usage_in_bytes") {
            statistics.memoryUsed = ByteCount(used)
        }
        if let limit = Self.number(isUnified ? "\(path)/memory.max" : "\(path)/memory.limit_in_bytes"),
            limit < Self.noLimit
        {
            statistics.memoryLimit = ByteCount(limit)
        }
        statistics.memoryCache = counters[isUnified ? "file" : "total_cache"].map { ByteCount($0) }
        statistics.swapUsed =
            (isUnified ? Self.number("\(path)/memory.swap.current") : counters["total_swap"]).map { ByteCount($0) }
        statistics.outOfMemoryKills =
            isUnified ? Self.table("\(path)/memory.events")["oom_kill"] : Self.outOfMemoryKills(below: path)
    }

    /// Version 1 counts in the group of the process that was killed alone; those the guest has nested are its own, too.
    private static func outOfMemoryKills(below path: String) -> UInt64? {
        let counts = directories(below: path).compactMap { table("\($0)/memory.oom_control")["oom_kill"] }
        return counts.isEmpty ? nil : counts.reduce(0, &+)
    }

    /// Version 1 writes a number near 2⁶³, rounded down to pages, where there is no limit.
    static let noLimit: UInt64 = 1 << 62

    /// The traffic to and from block devices.
    var blockIO: GuestStatistics.BlockIO? {
        guard let (path, isUnified) = directory(of: "blkio") else { return nil }
        var total = GuestStatistics.BlockIO()
        if isUnified {
            guard let text = Self.read("\(path)/io.stat") else { return nil }
            for field in text.split(whereSeparator: \.isWhitespace) {
                let parts = field.split(separator: "=")
                guard parts.count == 2, let number = UInt64(parts[1]) else { continue }
                switch parts[0] {
                case "rbytes": total.readBytes.bytes &+= number
                case "wbytes": total.writtenBytes.bytes &+= number
                case "rios": total.readRequests &+= number
                case "wios": total.writeRequests &+= number
                default: break
                }
            }
            return total
        }
        guard let bytes = Self.sums("\(path)/blkio.throttle.io_service_bytes_recursive"),
            let requests = Self.sums("\(path)/blkio.throttle.io_serviced_recursive")
        else { return nil }
        return .init(
            readBytes: ByteCount(bytes.read), readRequests: requests.read, writtenBytes: ByteCount(bytes.written),
            writeRequests: requests.written)
    }

    /// The sums over all devices of a file of `MAJOR:MINOR Operation number` lines.
    private static func sums(_ path: String) -> (read: UInt64, written: UInt64)? {
        guard let text = read(path) else { return nil }
        var sums: (read: UInt64, written: UInt64) = (0, 0)
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard fields.count == 3, let number = UInt64(fields[2]) else { continue }
            if fields[1] == "Read" { sums.read &+= number }
            if fields[1] == "Write" { sums.written &+= number }
        }
        return sums
    }

    /// The number of the guest's processes: those of the group and all below it, except for the controller, which is
    /// the host's.
    var processes: Int? {
        guard let (path, _) = directory(of: "freezer"), DurableFile.isDirectory(path) else { return nil }
        let counts = Self.directories(below: path).map { directory in
            Self.read("\(directory)/cgroup.procs")?.utf8.count { $0 == 0x0A } ?? 0
        }
        return max(0, counts.reduce(0, +) - 1)
    }
}
