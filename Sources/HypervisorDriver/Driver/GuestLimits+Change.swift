// SPDX-License-Identifier: Apache-2.0

public import LXCCore

extension GuestLimits {
    /// A change of limits. `nil` leaves a limit as it is.
    public struct Change: Hashable, Sendable {
        /// The new setting of a limit that can be removed.
        public enum Setting<Value: Hashable & Sendable>: Hashable, Sendable {
            /// Sets the limit.
            case limit(Value)
            /// Removes the limit.
            case unlimited

            /// The limit; `nil` for ``unlimited``.
            public var limit: Value? {
                switch self {
                case .limit(let value): value
                case .unlimited: nil
                }
            }
        }

        /// A change of the limits of one of the host's block devices.
        public struct Device: Hashable, Sendable {
            /// The path of the block device on the host.
            public var path: String
            /// The maximum read rate, per second.
            public var readBytesPerSecond: Setting<ByteCount>?
            /// The maximum write rate, per second.
            public var writeBytesPerSecond: Setting<ByteCount>?
            /// The maximum number of read operations per second.
            public var readOperationsPerSecond: Setting<UInt32>?
            /// The maximum number of write operations per second.
            public var writeOperationsPerSecond: Setting<UInt32>?

            /// Creates a change of a device's limits.
            public init(
                path: String, readBytesPerSecond: Setting<ByteCount>? = nil,
                writeBytesPerSecond: Setting<ByteCount>? = nil, readOperationsPerSecond: Setting<UInt32>? = nil,
                writeOperationsPerSecond: Setting<UInt32>? = nil
            ) {
                self.path = path
                self.readBytesPerSecond = readBytesPerSecond
                self.writeBytesPerSecond = writeBytesPerSecond
                self.readOperationsPerSecond = readOperationsPerSecond
                self.writeOperationsPerSecond = writeOperationsPerSecond
            }

            /// Whether it leaves the device's limits as they are.
            public var isEmpty: Bool { self == Device(path: path) }
        }

        /// The maximum memory.
        public var memory: ByteCount?
        /// The memory it is reclaimed to under host memory pressure.
        public var softMemory: ByteCount?
        /// The maximum of memory and swap together.
        public var memoryAndSwap: ByteCount?
        /// The weight relative to other guests.
        public var cpuShares: UInt64?
        /// The length of an accounting period.
        public var cpuPeriod: Duration?
        /// The processor time it may use per period.
        public var cpuQuota: Setting<Duration>?
        /// The host's processors it may run on.
        public var cpuSet: CPUSet?
        /// The weight relative to other guests that share a disk.
        public var blockIOWeight: UInt32?
        /// The maximum number of processes and threads.
        public var processes: Setting<UInt64>?
        /// Limits of individual block devices; those of other devices stay unchanged.
        public var devices: [Device]

        /// Creates a change of limits, by default an empty one.
        public init(
            memory: ByteCount? = nil, softMemory: ByteCount? = nil, memoryAndSwap: ByteCount? = nil,
            cpuShares: UInt64? = nil, cpuPeriod: Duration? = nil, cpuQuota: Setting<Duration>? = nil,
            cpuSet: CPUSet? = nil, blockIOWeight: UInt32? = nil, processes: Setting<UInt64>? = nil,
            devices: [Device] = []
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

        /// Whether it leaves every limit as it is.
        public var isEmpty: Bool { self == Change() }

        /// Rejects values that no hypervisor accepts, before any limit is changed.
        ///
        /// - Throws: `LXCError` `invalidArgument` naming the limit.
        public func check() throws { try applied(to: GuestLimits()).check() }

        /// The limits after this change.
        public func applied(to limits: GuestLimits) -> GuestLimits {
            var limits = limits
            limits.memory = memory ?? limits.memory
            limits.softMemory = softMemory ?? limits.softMemory
            limits.memoryAndSwap = memoryAndSwap ?? limits.memoryAndSwap
            limits.cpuShares = cpuShares ?? limits.cpuShares
            limits.cpuPeriod = cpuPeriod ?? limits.cpuPeriod
            limits.cpuQuota = cpuQuota.applied(to: limits.cpuQuota)
            limits.cpuSet = cpuSet ?? limits.cpuSet
            limits.blockIOWeight = blockIOWeight ?? limits.blockIOWeight
            limits.processes = processes.applied(to: limits.processes)
            for change in devices { limits.apply(change) }
            return limits
        }
    }

    private mutating func apply(_ change: Change.Device) {
        let index = devices.firstIndex { $0.path == change.path } ?? devices.endIndex
        var device = index < devices.endIndex ? devices.remove(at: index) : Device(path: change.path)
        device.readBytesPerSecond = change.readBytesPerSecond.applied(to: device.readBytesPerSecond)
        device.writeBytesPerSecond = change.writeBytesPerSecond.applied(to: device.writeBytesPerSecond)
        device.readOperationsPerSecond = change.readOperationsPerSecond.applied(to: device.readOperationsPerSecond)
        device.writeOperationsPerSecond = change.writeOperationsPerSecond.applied(to: device.writeOperationsPerSecond)
        // An empty one is kept for `check()`, which checks its path.
        devices.insert(device, at: index)
    }
}

extension Optional {
    /// The limit after the change.
    fileprivate func applied<Value>(to limit: Value?) -> Value? where Wrapped == GuestLimits.Change.Setting<Value> {
        map(\.limit) ?? limit
    }
}
