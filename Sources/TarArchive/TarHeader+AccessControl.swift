import CLibArchive
import FileTree
import Glibc

extension TarHeader {
    /// Adds the access control lists the archive has as text, in the form of the extended attributes the kernel keeps
    /// them in, unless it has those attributes themselves.
    func addAccessControl(to entry: inout TreeEntry, losses: inout TreeLosses) {
        // Part of a list could allow what the whole forbids, so a list that is not understood is left out altogether.
        var isComplete = !hasUnreadableAccessControl
        let types = archive_entry_acl_types(raw)
        for (type, name) in [
            (ARCHIVE_ENTRY_ACL_TYPE_ACCESS, "system.posix_acl_access"),
            (ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, "system.posix_acl_default"),
        ] where types & type != 0 && !hasUnreadableAccessControl {
            guard let list = AccessControlList(raw, type: type), list.fits(entry.kind, type: type) else {
                isComplete = false
                continue
            }
            // The group bits of a mode stand for the mask; libarchive has put the owning group's there.
            if type == ARCHIVE_ENTRY_ACL_TYPE_ACCESS, let mask = list.mask {
                entry.mode = entry.mode & ~0o070 | mask << 3
            }
            let name = Array(name.utf8)
            guard !entry.attributes.contains(where: { $0.name == name }) else { continue }
            entry.attributes.append(TreeEntry.Attribute(name: name, value: list.bytes))
        }
        let posixTypes = ARCHIVE_ENTRY_ACL_TYPE_ACCESS | ARCHIVE_ENTRY_ACL_TYPE_DEFAULT
        let hasForeignTypes = types & ~posixTypes != 0
        if !isComplete || hasForeignTypes { losses.add("acl", entry.path) }
    }

    /// Whether libarchive could not read an access control list, which it only mentions.
    private var hasUnreadableAccessControl: Bool { warning?.hasPrefix("Parse error") ?? false }
}

/// A POSIX access control list that names everyone by number and has all the entries acl(5) demands.
private struct AccessControlList {
    private struct Entry {
        let tag: UInt16
        let permissions: UInt16
        let id: UInt32
    }

    /// The kernel's tags, which are its order too, by libarchive's.
    private static let tags: [CInt: UInt16] = [
        ARCHIVE_ENTRY_ACL_USER_OBJ: 0x01, ARCHIVE_ENTRY_ACL_USER: 0x02, ARCHIVE_ENTRY_ACL_GROUP_OBJ: 0x04,
        ARCHIVE_ENTRY_ACL_GROUP: 0x08, ARCHIVE_ENTRY_ACL_MASK: 0x10, ARCHIVE_ENTRY_ACL_OTHER: 0x20,
    ]
    private static let namedTags: Set<UInt16> = [0x02, 0x08]
    private static let maskTag: UInt16 = 0x10
    private static let requiredTags: Set<UInt16> = [0x01, 0x04, 0x20]
    private static let version: UInt32 = 2

    private var entries: [Entry] = []

    /// The list of `type`; nil when it is incomplete or names someone by a name only.
    init?(_ header: OpaquePointer, type: CInt) {
        archive_entry_acl_reset(header, type)
        var (found, permissions, tag, id): (CInt, CInt, CInt, CInt) = (0, 0, 0, -1)
        var name: UnsafePointer<CChar>?
        while archive_entry_acl_next(header, type, &found, &permissions, &tag, &id, &name) == ARCHIVE_OK {
            guard let kernelTag = Self.tags[tag] else { return nil }
            let isNamed = Self.namedTags.contains(kernelTag)
            // libarchive keeps a number too large for it as the largest it has.
            guard !isNamed || (id >= 0 && id < CInt.max) else { return nil }
            entries.append(
                Entry(
                    tag: kernelTag, permissions: UInt16(truncatingIfNeeded: permissions & 7),
                    id: isNamed ? UInt32(id) : UInt32.max))
        }
        entries.sort { ($0.tag, $0.id) < ($1.tag, $1.id) }
        guard isComplete else { return nil }
    }

    /// The mask's permissions, where there is a mask.
    var mask: UInt16? { entries.first { $0.tag == Self.maskTag }?.permissions }

    /// The value of the extended attribute: little-endian, a version and eight bytes for each entry.
    var bytes: [UInt8] {
        entries.reduce(into: Self.littleEndian(Self.version)) { bytes, entry in
            bytes += Self.littleEndian(entry.tag) + Self.littleEndian(entry.permissions) + Self.littleEndian(entry.id)
        }
    }

    /// Whether an object of this kind can have such a list.
    func fits(_ kind: TreeEntry.Kind, type: CInt) -> Bool {
        switch kind {
        case .directory: true
        case .symbolicLink: false
        default: type == ARCHIVE_ENTRY_ACL_TYPE_ACCESS
        }
    }

    private var isComplete: Bool {
        let keys = entries.map { UInt64($0.tag) << 32 | UInt64($0.id) }
        let tags = Set(entries.map(\.tag))
        let needsMask = !tags.isDisjoint(with: Self.namedTags)
        return Set(keys).count == keys.count && tags.isSuperset(of: Self.requiredTags)
            && (!needsMask || tags.contains(Self.maskTag))
    }

    private static func littleEndian(_ number: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: number.littleEndian) { Array($0) }
    }
}
