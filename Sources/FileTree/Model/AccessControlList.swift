// SPDX-License-Identifier: Apache-2.0

/// A POSIX ACL in the kernel's format of `system.posix_acl_access` and `system.posix_acl_default`.
package struct AccessControlList {
    /// The subject of an entry of the list.
    package enum Tag: UInt16 {
        case owner = 0x01
        case user = 0x02
        case owningGroup = 0x04
        case group = 0x08
        case mask = 0x10
        case other = 0x20
    }

    /// One entry of the list.
    package struct Entry {
        package var tag: Tag
        package var permissions: UInt16
        /// Counts for users and groups only.
        package var id: UInt32

        /// Creates an entry; the id of an entry without one is all ones.
        package init(tag: Tag, permissions: UInt16, id: UInt32 = .max) {
            self.tag = tag
            self.permissions = permissions
            self.id = id
        }
    }

    private static let version: UInt32 = 2

    package var entries: [Entry]

    /// Creates a list of entries, sorted into the kernel's order: by tag, then by id.
    package init(_ entries: [Entry]) {
        self.entries = entries.sorted { ($0.tag.rawValue, $0.id) < ($1.tag.rawValue, $1.id) }
    }

    /// Reads an attribute's value; `nil` if the kernel would not accept it.
    package init?(_ value: [UInt8]) {
        guard value.count >= 4, (value.count - 4).isMultiple(of: 8), UInt32(littleEndian: value[..<4]) == Self.version
        else { return nil }
        var entries: [Entry] = []
        for start in stride(from: 4, to: value.count, by: 8) {
            guard let tag = Tag(rawValue: UInt16(littleEndian: value[start..<(start + 2)])) else { return nil }
            let permissions = UInt16(littleEndian: value[(start + 2)..<(start + 4)])
            guard permissions <= 7 else { return nil }
            entries.append(
                Entry(tag: tag, permissions: permissions, id: UInt32(littleEndian: value[(start + 4)..<(start + 8)])))
        }
        self.init(entries)
    }

    /// The attribute's value.
    package var value: [UInt8] {
        Self.version.littleEndianBytes
            + entries.flatMap { entry in
                let hasID = entry.tag == .user || entry.tag == .group
                return entry.tag.rawValue.littleEndianBytes + entry.permissions.littleEndianBytes
                    + (hasID ? entry.id : .max).littleEndianBytes
            }
    }

    /// Whether the list has every entry acl(5) requires and no duplicates: the three classes, and a mask if it names a
    /// user or group. The kernel refuses other lists.
    package var isComplete: Bool {
        let tags = Set(entries.map(\.tag))
        let names = entries.map { UInt64($0.tag.rawValue) << 32 | UInt64($0.id) }
        return Set(names).count == names.count && tags.isSuperset(of: [.owner, .owningGroup, .other])
            && (tags.isDisjoint(with: [.user, .group]) || tags.contains(.mask))
    }

    /// Whether there is no entry: to the kernel that is no list.
    package var isEmpty: Bool { entries.isEmpty }

    /// Whether the list is equivalent to nine mode bits.
    var isMinimal: Bool { entries.allSatisfy { [.owner, .owningGroup, .other].contains($0.tag) } }

    /// The nine mode bits the kernel shows for a file with this access ACL; nil when one of the three is missing.
    var modeBits: UInt16? {
        let first = { (tag: Tag) in entries.first { $0.tag == tag }?.permissions }
        guard let owner = first(.owner), let group = first(.mask) ?? first(.owningGroup), let other = first(.other)
        else { return nil }
        return owner << 6 | group << 3 | other
    }
}
