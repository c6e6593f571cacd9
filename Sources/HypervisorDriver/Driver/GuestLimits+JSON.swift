// SPDX-License-Identifier: Apache-2.0

import LXCCore

/// Sizes are numbers of bytes, times are numbers of microseconds.
extension GuestLimits: Codable {
    private enum CodingKeys: String, CodingKey {
        case memory, softMemory, memoryAndSwap, cpuShares, cpuPeriod, cpuQuota, cpuSet, blockIOWeight, processes,
            devices
    }

    /// Reads limits; a missing key means no limit.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        func time(_ key: CodingKeys) throws -> Duration? {
            try values.decodeIfPresent(Int64.self, forKey: key).map { .microseconds($0) }
        }
        try self.init(
            memory: values.decodeIfPresent(ByteCount.self, forKey: .memory),
            softMemory: values.decodeIfPresent(ByteCount.self, forKey: .softMemory),
            memoryAndSwap: values.decodeIfPresent(ByteCount.self, forKey: .memoryAndSwap),
            cpuShares: values.decodeIfPresent(UInt64.self, forKey: .cpuShares), cpuPeriod: time(.cpuPeriod),
            cpuQuota: time(.cpuQuota), cpuSet: values.decodeIfPresent(CPUSet.self, forKey: .cpuSet),
            blockIOWeight: values.decodeIfPresent(UInt32.self, forKey: .blockIOWeight),
            processes: values.decodeIfPresent(UInt64.self, forKey: .processes),
            devices: values.decodeIfPresent([Device].self, forKey: .devices) ?? [])
    }

    /// Writes every limit that is set.
    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encodeIfPresent(memory, forKey: .memory)
        try values.encodeIfPresent(softMemory, forKey: .softMemory)
        try values.encodeIfPresent(memoryAndSwap, forKey: .memoryAndSwap)
        try values.encodeIfPresent(cpuShares, forKey: .cpuShares)
        try values.encodeIfPresent(cpuPeriod?.wholeMicroseconds, forKey: .cpuPeriod)
        try values.encodeIfPresent(cpuQuota?.wholeMicroseconds, forKey: .cpuQuota)
        try values.encodeIfPresent(cpuSet, forKey: .cpuSet)
        try values.encodeIfPresent(blockIOWeight, forKey: .blockIOWeight)
        try values.encodeIfPresent(processes, forKey: .processes)
        try values.encode(devices, forKey: .devices)
    }
}
