// SPDX-License-Identifier: Apache-2.0

/// The value of `security.capability` (struct vfs_cap_data of the kernel), in its three revisions.
struct FileCapability {
    private static let effectiveFlag: UInt32 = 1

    private var isEffective: Bool
    private var permitted: UInt64
    private var inheritable: UInt64
    /// The user that is root in the user namespace of the capabilities; 0 for the host's own root.
    var root: UInt32

    /// Reads a value; `nil` if the kernel would not accept it.
    init?(_ value: [UInt8]) {
        guard value.count >= 12, value.count.isMultiple(of: 4) else { return nil }
        let words = stride(from: 0, to: value.count, by: 4).map { UInt32(littleEndian: value[$0..<($0 + 4)]) }
        let revision = words[0] >> 24
        guard [1: 3, 2: 5, 3: 6][revision] == words.count else { return nil }
        isEffective = words[0] & Self.effectiveFlag != 0
        permitted = UInt64(words[1])
        inheritable = UInt64(words[2])
        if revision > 1 {
            permitted |= UInt64(words[3]) << 32
            inheritable |= UInt64(words[4]) << 32
        }
        root = revision == 3 ? words[5] : 0
    }

    /// The value: revision 2 for the host's root, as the kernel shows it, and else revision 3.
    var value: [UInt8] {
        let revision: UInt32 = root == 0 ? 2 : 3
        var words = [
            revision << 24 | (isEffective ? Self.effectiveFlag : 0), UInt32(truncatingIfNeeded: permitted),
            UInt32(truncatingIfNeeded: inheritable), UInt32(permitted >> 32), UInt32(inheritable >> 32),
        ]
        if root != 0 { words.append(root) }
        return words.flatMap { $0.littleEndianBytes }
    }
}

extension FixedWidthInteger {
    /// Creates an integer from bytes, the least significant first.
    init(littleEndian bytes: some BidirectionalCollection<UInt8>) {
        self = bytes.reversed().reduce(0) { $0 << 8 | Self(truncatingIfNeeded: $1) }
    }

    /// The bytes, the least significant first.
    var littleEndianBytes: [UInt8] { (0..<(Self.bitWidth / 8)).map { UInt8(truncatingIfNeeded: self >> ($0 * 8)) } }
}
