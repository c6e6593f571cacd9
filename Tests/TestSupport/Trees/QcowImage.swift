// SPDX-License-Identifier: Apache-2.0

/// A qcow2 image of a disk without contents, with all that its header says, true or not: a cluster for the header, one for the
/// refcount table, one for a refcount block, and the L1 table.
public struct QcowImage {
    /// 2 or 3.
    public var version: UInt32 = 3
    /// The size of the disk, in bytes.
    public var virtualSize: UInt64 = 1 << 20
    /// How large clusters are: 2 to the power of this.
    public var clusterBits: UInt32 = 16
    /// The image it differs from.
    public var backingFile: String?
    /// The kind of encryption.
    public var encryption: UInt32 = 0
    /// The incompatible features.
    public var features: UInt64 = 0
    /// What the header says of its own length.
    public var headerLength: UInt32 = 104
    /// Extensions of the header, with what they say of their length.
    public var extensions: [(type: UInt32, length: UInt32, data: [UInt8])] = []

    /// An image that is all there is of its disk.
    public init() {}

    /// An image that differs from another.
    public init(over backingFile: String, virtualSize: UInt64 = 1 << 20) {
        self.backingFile = backingFile
        self.virtualSize = virtualSize
    }

    /// The bytes.
    public var bytes: [UInt8] {
        let fixed = version == 2 ? 72 : 104
        var tail: [UInt8] = []
        for (type, length, data) in extensions { tail += Self.big(type) + Self.big(length) + data }
        tail += [UInt8](repeating: 0, count: 8)
        let name = Array((backingFile ?? "").utf8)
        let offset = backingFile == nil ? 0 : UInt64(fixed + tail.count)
        var bytes: [UInt8] = [0x51, 0x46, 0x49, 0xFB] + Self.big(version) + Self.big(offset)
        bytes += Self.big(UInt32(name.count)) + Self.big(clusterBits) + Self.big(virtualSize) + Self.big(encryption)
        let cluster = hasTables ? UInt64(1) << clusterBits : 0
        bytes += Self.big(UInt32(hasTables ? tables : 0)) + Self.big(3 * cluster) + Self.big(cluster)
        bytes += Self.big(UInt32(1)) + [UInt8](repeating: 0, count: 12)
        if version != 2 {
            bytes +=
                Self.big(features) + [UInt8](repeating: 0, count: 16) + Self.big(UInt32(4)) + Self.big(headerLength)
        }
        bytes += tail + name + [UInt8](repeating: 0, count: 512)
        guard hasTables else { return bytes }
        bytes += [UInt8](repeating: 0, count: max(0, Int(cluster) - bytes.count))
        bytes += Self.big(2 * cluster) + [UInt8](repeating: 0, count: Int(2 * cluster) - 8 + Int(8 * tables))
        return bytes
    }

    private var hasTables: Bool { (9...16).contains(clusterBits) && virtualSize < 1 << 50 }

    /// How many tables of the second level the disk has room for.
    private var tables: UInt64 { max(virtualSize, 1) / (UInt64(1) << (2 * clusterBits - 3)) + 1 }

    private static func big(_ number: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: number.bigEndian) { Array($0) }
    }
}
