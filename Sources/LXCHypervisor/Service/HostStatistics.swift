// SPDX-License-Identifier: Apache-2.0

import Glibc
public import HypervisorDriver
public import LXCCore
import LinuxSystem
import Logging
public import PrimaryStore

extension LXCHypervisor {
    /// A host's used and available resources, from its kernel.
    public struct HostStatistics: Hashable, Sendable {
        /// The number of online processors.
        public var cpus: Int
        /// The busy time of all processors together since boot.
        public var cpuBusy: Duration
        /// The total time of all processors together since boot.
        public var cpuTotal: Duration
        /// The load averages, of runnable processes, over 1, 5 and 15 minutes.
        public var loadAverages: [Double]
        /// The total memory.
        public var memory: ByteCount
        /// Memory available without swapping: free memory and caches.
        public var memoryAvailable: ByteCount
        /// Memory offered to guests: the total minus the host's reserve plus the overcommitment. CloudStack's rule,
        /// `host.reserved.mem.mb` and `host.overcommit.mem.mb`.
        public var memoryForGuests: ByteCount
        /// The time since boot.
        public var uptime: Duration
        /// The capacity of the host's root file system.
        public var root: StoreCapacity
        /// The requested primary stores.
        public var pools: [Pool] = []

        /// The capacity of a primary store.
        public struct Pool: Hashable, Sendable, Codable {
            /// The pool.
            public var id: PoolID
            /// The pool's capacity; `nil` if the pool cannot be reached.
            public var capacity: StoreCapacity?

            /// Creates the capacity of a pool.
            public init(id: PoolID, capacity: StoreCapacity?) {
                self.id = id
                self.capacity = capacity
            }
        }

        /// Reads the current statistics.
        ///
        /// - Parameters:
        ///   - reserved: memory reserved for the host.
        ///   - overcommitted: memory offered beyond the physical memory.
        /// - Returns: the host's statistics, without pools.
        /// - Throws: `LXCError` `io`, `corrupt` if the kernel's tables differ from proc(5).
        public static func current(
            reserved: ByteCount = Policy().reservedMemory, overcommitted: ByteCount = ByteCount(0)
        ) async throws -> HostStatistics {
            try await BlockingPool.shared.run { _ in
                let (busy, total) = try processorTime()
                let memory = try memoryTable()
                guard let all = memory["MemTotal"], let available = memory["MemAvailable"] else {
                    throw damaged("meminfo")
                }
                let offered = all.bytes + overcommitted.bytes
                return HostStatistics(
                    cpus: Processors.online, cpuBusy: busy, cpuTotal: total,
                    loadAverages: try Array(numbers("loadavg").prefix(3)), memory: all, memoryAvailable: available,
                    memoryForGuests: ByteCount(offered - min(offered, reserved.bytes)),
                    uptime: .seconds(try numbers("uptime").first ?? 0), root: try capacity(of: "/"))
            }
        }

        /// The processor utilization between two readings, in percent; with a single reading, since boot.
        ///
        /// - Parameter earlier: an earlier reading.
        /// - Returns: 0 to 100.
        public func cpuPercent(since earlier: HostStatistics? = nil) -> Double {
            let total = cpuTotal - (earlier?.cpuTotal ?? .zero)
            let busy = cpuBusy - (earlier?.cpuBusy ?? .zero)
            return total > .zero ? min(100, max(0, busy / total * 100)) : 0
        }

        private static func read(_ name: String) throws -> String {
            guard let bytes = try DurableFile.read("/proc/\(name)") else {
                throw LXCError(.io, "cannot read /proc/\(name); is /proc mounted?")
            }
            return String(decoding: bytes, as: UTF8.self)
        }

        private static func damaged(_ name: String) -> LXCError {
            LXCError(.corrupt, "/proc/\(name) is not as proc(5) describes it")
        }

        private static func numbers(_ name: String) throws -> [Double] {
            try read(name).split(whereSeparator: \.isWhitespace).map { Double($0) ?? 0 }
        }

        /// The first line of proc_stat(5): user nice system idle iowait irq softirq steal, in ticks. Guest time is
        /// already included in user.
        private static func processorTime() throws -> (busy: Duration, total: Duration) {
            let line = try read("stat").prefix { $0 != "\n" }
            let ticks = line.split(separator: " ").dropFirst().prefix(8).map { Double($0) ?? 0 }
            guard ticks.count == 8 else { throw damaged("stat") }
            let perSecond = Double(max(1, sysconf(Int32(_SC_CLK_TCK))))
            let total = ticks.reduce(0, +)
            return (.seconds((total - ticks[3] - ticks[4]) / perSecond), .seconds(total / perSecond))
        }

        private static func memoryTable() throws -> [Substring: ByteCount] {
            try read("meminfo").split(separator: "\n").reduce(into: [:]) { table, line in
                let fields = line.split { $0 == ":" || $0 == " " }
                if fields.count > 1, let number = UInt64(fields[1]) { table[fields[0]] = .kibibytes(number) }
            }
        }

        private static func capacity(of path: String) throws -> StoreCapacity {
            let capacity = try FileSystemCapacity(of: path)
            return StoreCapacity(total: capacity.total, available: capacity.available)
        }
    }
}

/// Times are encoded as numbers of seconds.
extension LXCHypervisor.HostStatistics: Codable {
    private enum CodingKeys: String, CodingKey {
        case cpus, cpuBusySeconds, cpuTotalSeconds, loadAverages, memory, memoryAvailable, memoryForGuests,
            uptimeSeconds, root, pools
    }

    /// Reads statistics.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        func time(_ key: CodingKeys) throws -> Duration { .seconds(try values.decode(Double.self, forKey: key)) }
        try self.init(
            cpus: values.decode(Int.self, forKey: .cpus), cpuBusy: time(.cpuBusySeconds),
            cpuTotal: time(.cpuTotalSeconds), loadAverages: values.decode([Double].self, forKey: .loadAverages),
            memory: values.decode(ByteCount.self, forKey: .memory),
            memoryAvailable: values.decode(ByteCount.self, forKey: .memoryAvailable),
            memoryForGuests: values.decode(ByteCount.self, forKey: .memoryForGuests), uptime: time(.uptimeSeconds),
            root: values.decode(StoreCapacity.self, forKey: .root),
            pools: values.decodeIfPresent([Pool].self, forKey: .pools) ?? [])
    }

    /// Writes the known values.
    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(cpus, forKey: .cpus)
        try values.encode(cpuBusy / .seconds(1), forKey: .cpuBusySeconds)
        try values.encode(cpuTotal / .seconds(1), forKey: .cpuTotalSeconds)
        try values.encode(loadAverages, forKey: .loadAverages)
        try values.encode(memory, forKey: .memory)
        try values.encode(memoryAvailable, forKey: .memoryAvailable)
        try values.encode(memoryForGuests, forKey: .memoryForGuests)
        try values.encode(uptime / .seconds(1), forKey: .uptimeSeconds)
        try values.encode(root, forKey: .root)
        try values.encode(pools, forKey: .pools)
    }
}

extension LXCHypervisor {
    /// This host's used and available resources. A pool that cannot be reached has no capacity and is named in the log.
    ///
    /// - Throws: `LXCError` `io`, `corrupt` if the kernel's tables differ from proc(5); `CancellationError`.
    public func hostStatistics() async throws -> HostStatistics {
        try await Operation.run("host.statistics", hostName, logger) {
            var statistics = try await HostStatistics.current(
                reserved: policy.reservedMemory, overcommitted: policy.overcommittedMemory)
            for store in pools {
                do {
                    statistics.pools.append(.init(id: store.id, capacity: try await store.capacity()))
                } catch let error as LXCError {
                    logger.warning(
                        "cannot see how full a pool is", metadata: ["pool": "\(store.id)", "error": "\(error)"])
                    statistics.pools.append(.init(id: store.id, capacity: nil))
                }
            }
            return statistics
        }
    }

    /// The resource usage of all running containers, in one call.
    ///
    /// - Throws: `LXCError` `unavailable`.
    public func statistics() async throws -> [GuestName: GuestStatistics] {
        try await Operation.run("container.statistics", hostName, logger) {
            try await drivers.containers.statistics()
        }
    }

    /// Events of the containers from now on: each change once, even if the connection to the hypervisor is lost.
    /// Changes during an interruption are reported once it is back. ``watch(_:)`` renews the subscription when it ends.
    ///
    /// - Throws: `LXCError` `unavailable`. The stream ends with `limitExceeded` if its reader falls too far behind.
    public func events() async throws -> AsyncThrowingStream<GuestEvent, any Error> {
        try await drivers.containers.events()
    }
}
