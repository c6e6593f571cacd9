public import LXCCore

extension GuestLimits {
    /// A change of limits. `nil` leaves a limit as it is.
    public struct Change: Hashable, Sendable {
        /// What becomes of a limit that can be lifted.
        public enum Setting<Value: Hashable & Sendable>: Hashable, Sendable {
            /// It becomes this.
            case limit(Value)
            /// There is no such limit any more.
            case unlimited

            /// The limit; nil for ``unlimited``.
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
            /// The most that is read in a second.
            public var readBytesPerSecond: Setting<ByteCount>?
            /// The most that is written in a second.
            public var writeBytesPerSecond: Setting<ByteCount>?
            /// The most read operations in a second.
            public var readOperationsPerSecond: Setting<UInt32>?
            /// The most write operations in a second.
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

        /// The most memory it can use.
        public var memory: ByteCount?
        /// The memory it is reclaimed to under host memory pressure.
        public var softMemory: ByteCount?
        /// The most memory and swap together.
        public var memoryAndSwap: ByteCount?
        /// The weight against other guests.
        public var cpuShares: UInt64?
        /// The length of an accounting period.
        public var cpuPeriod: Duration?
        /// The processor time it may use in one period.
        public var cpuQuota: Setting<Duration>?
        /// The host's processors it may run on.
        public var cpuSet: CPUSet?
        /// The weight against other guests where they share a disk.
        public var blockIOWeight: UInt32?
        /// How many processes and threads it can have.
        public var processes: Setting<UInt64>?
        /// Limits of single block devices; those of others stay as they are.
        public var devices: [Device]

        /// Creates a change of limits, by default one that changes none.
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

        /// Refuses what no hypervisor takes, before any of it is changed.
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
        // An empty one is kept for `check()`, which looks at its path.
        devices.insert(device, at: index)
    }
}

extension Optional {
    /// The limit after a change of it.
    fileprivate func applied<Value>(to limit: Value?) -> Value? where Wrapped == GuestLimits.Change.Setting<Value> {
        map(\.limit) ?? limit
    }
}
