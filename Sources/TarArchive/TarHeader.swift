import CLibArchive
import FileTree
import Glibc
import LXCCore

/// The header libarchive has just read, valid until it reads the next.
struct TarHeader {
    let raw: OpaquePointer
    private let archive: String
    /// What libarchive mentioned while it read the header.
    let warning: String?

    /// Takes libarchive's entry, the archive's name for messages, and what libarchive mentioned.
    init(_ raw: OpaquePointer, archive: String, warning: String?) {
        self.raw = raw
        self.archive = archive
        self.warning = warning
    }

    /// The entry, or nil when it is of a kind that cannot be copied, which is then counted in `losses`.
    ///
    /// - Throws: `LXCError` `corrupt`, `unsafe`, `limitExceeded`.
    func entry(limits: TreeLimits, losses: inout TreeLosses) throws -> TreeEntry? {
        let path = try TreePath(name(archive_entry_pathname(raw), limit: limits.pathLength, "a path", "pathLength"))
        guard let kind = try kind(of: path, limits: limits) else {
            losses.add(archive_entry_filetype(raw) == S_IFSOCK ? "socket" : "unknown", path)
            return nil
        }
        guard !path.isRoot || kind == .directory else {
            throw LXCError(.unsafe, "the archive \(archive) has a root that is not a directory; refused")
        }
        var entry = TreeEntry(
            path: path, kind: kind, mode: UInt16(archive_entry_perm(raw) & 0o7777),
            user: try id(archive_entry_uid(raw), "user", path), group: try id(archive_entry_gid(raw), "group", path),
            modified: modified, attributes: try attributes(of: path, limit: limits.attributeBytes))
        addAccessControl(to: &entry, losses: &losses)
        return entry
    }

    private func kind(of path: TreePath, limits: TreeLimits) throws -> TreeEntry.Kind? {
        if let target = archive_entry_hardlink(raw) {
            return .hardLink(to: try TreePath(name(target, limit: limits.pathLength, "a link to a path", "pathLength")))
        }
        switch archive_entry_filetype(raw) {
        case S_IFDIR: return .directory
        case S_IFREG: return .file(size: try size(of: path))
        case S_IFIFO: return .fifo
        case S_IFLNK:
            let target = try name(
                archive_entry_symlink(raw), limit: limits.linkTargetLength, "a symbolic link to a path",
                "linkTargetLength")
            guard !target.isEmpty else { throw corrupt(path, "is a symbolic link to nothing") }
            return .symbolicLink(target: target)
        case S_IFCHR:
            let number = try device(path)
            return .characterDevice(major: number.major, minor: number.minor)
        case S_IFBLK:
            let number = try device(path)
            return .blockDevice(major: number.major, minor: number.minor)
        default: return nil
        }
    }

    private func name(
        _ text: UnsafePointer<CChar>?, limit: Int, _ what: String, _ limitName: String
    ) throws -> [UInt8] {
        guard let text else { throw LXCError(.corrupt, "the archive \(archive) has an entry without \(what)") }
        let bytes = UnsafeRawBufferPointer(start: text, count: strlen(text))
        guard bytes.count <= limit else {
            throw LXCError(
                .limitExceeded,
                "the archive \(archive) has \(what) of \(bytes.count) bytes; the limit \(limitName) is \(limit)")
        }
        return Array(bytes)
    }

    private func size(of path: TreePath) throws -> UInt64 {
        guard let size = UInt64(exactly: archive_entry_size(raw)) else { throw corrupt(path, "has a negative size") }
        return size
    }

    private func device(_ path: TreePath) throws -> (major: UInt32, minor: UInt32) {
        guard let major = UInt32(exactly: archive_entry_rdevmajor(raw)),
            let minor = UInt32(exactly: archive_entry_rdevminor(raw))
        else { throw corrupt(path, "has a device number beyond 32 bits") }
        return (major, minor)
    }

    /// An owner. The largest 32-bit number is none: to the kernel it means "leave the owner as it is".
    private func id(_ number: Int64, _ what: String, _ path: TreePath) throws -> UInt32 {
        guard let id = UInt32(exactly: number), id < UInt32.max else {
            throw LXCError(
                .unsafe,
                "\"\(path)\" in the archive \(archive) has the \(what) id \(number), which Linux does not know; refused"
            )
        }
        return id
    }

    private var modified: TreeEntry.Time {
        TreeEntry.Time(
            seconds: Int64(archive_entry_mtime(raw)),
            nanoseconds: UInt32(clamping: archive_entry_mtime_nsec(raw)))
    }

    private func attributes(of path: TreePath, limit: Int) throws -> [TreeEntry.Attribute] {
        var attributes: [TreeEntry.Attribute] = []
        var seen: Set<[UInt8]> = []
        var total = 0
        archive_entry_xattr_reset(raw)
        var name: UnsafePointer<CChar>?
        var value: UnsafeRawPointer?
        var size = 0
        while archive_entry_xattr_next(raw, &name, &value, &size) == ARCHIVE_OK, let bytes = name {
            let name = Array(UnsafeRawBufferPointer(start: bytes, count: strlen(bytes)))
            total += name.count + size
            guard total <= limit else {
                throw LXCError(
                    .limitExceeded,
                    "\"\(path)\" in the archive \(archive) has more than \(limit) bytes of extended attributes, "
                        + "the limit attributeBytes")
            }
            // Some programs write each attribute in two notations; libarchive returns both.
            guard seen.insert(name).inserted else { continue }
            let contents = UnsafeRawBufferPointer(start: value, count: size)
            attributes.append(TreeEntry.Attribute(name: name, value: Array(contents)))
        }
        return attributes
    }

    private func corrupt(_ path: TreePath, _ damage: String) -> LXCError {
        LXCError(.corrupt, "\"\(path)\" in the archive \(archive) \(damage)")
    }
}
