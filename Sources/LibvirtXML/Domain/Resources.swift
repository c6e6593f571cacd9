// SPDX-License-Identifier: Apache-2.0

public import LXCCore

/// Limits of a guest's memory use: libvirt's `<memtune>`. Written in KiB, rounded up.
public struct MemoryTuning: Hashable, Sendable {
    /// The most memory the guest can use.
    public var hardLimit: ByteCount?
    /// The memory the guest is reclaimed to under host memory pressure.
    public var softLimit: ByteCount?
    /// The most memory and swap together the guest can use.
    public var swapHardLimit: ByteCount?

    /// The limits given; nil is no limit.
    public init(hardLimit: ByteCount? = nil, softLimit: ByteCount? = nil, swapHardLimit: ByteCount? = nil) {
        self.hardLimit = hardLimit
        self.softLimit = softLimit
        self.swapHardLimit = swapHardLimit
    }
}

/// A guest's processors: libvirt's `<vcpu>`.
public struct VirtualCPUs: Hashable, Sendable {
    /// The number of processors, 1 to 65535.
    public var count: Int
    /// The host's processors the guest may run on, as `0-3,^2,8`; nil for all.
    public var cpuSet: String?

    /// Creates a number of virtual processors, and the host's processors they run on.
    public init(count: Int, cpuSet: String? = nil) {
        self.count = count
        self.cpuSet = cpuSet
    }
}

/// A guest's share of processor time: libvirt's `<cputune>`.
public struct CPUTuning: Hashable, Sendable {
    /// The guest's weight against other guests: 2 to 262144 with control groups of version 1, 1 to 10000 with version 2.
    public var shares: UInt32?
    /// The length of an accounting period in microseconds, 1000 to 1000000.
    public var period: UInt64?
    /// The processor time in microseconds the guest may use in one period; negative for no limit.
    public var quota: Int64?

    /// The values given; nil leaves one to libvirt.
    public init(shares: UInt32? = nil, period: UInt64? = nil, quota: Int64? = nil) {
        self.shares = shares
        self.period = period
        self.quota = quota
    }
}

/// Limits of a guest's block device access: libvirt's `<blkiotune>`.
public struct BlockIOTuning: Hashable, Sendable {
    /// Limits of access to one of the host's block devices.
    public struct Device: Hashable, Sendable {
        /// The path of the block device on the host.
        public var path: String
        /// The guest's weight against other guests on this device, 100 to 1000.
        public var weight: UInt32?
        /// The most bytes read in a second.
        public var readBytesPerSecond: UInt64?
        /// The most bytes written in a second.
        public var writeBytesPerSecond: UInt64?
        /// The most read operations in a second.
        public var readOperationsPerSecond: UInt32?
        /// The most write operations in a second.
        public var writeOperationsPerSecond: UInt32?
        /// The parts of the element no property models; the element's name is of no account.
        public var other = XMLFragment("device")

        /// A device without limits yet.
        public init(path: String) { self.path = path }
    }

    /// The guest's weight against other guests, 100 to 1000.
    public var weight: UInt32?
    /// Limits of single devices.
    public var devices: [Device]

    /// The weight and devices given.
    public init(weight: UInt32? = nil, devices: [Device] = []) {
        self.weight = weight
        self.devices = devices
    }
}
