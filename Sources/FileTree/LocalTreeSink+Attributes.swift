import CLinux
import Glibc
import LXCCore

extension LocalTreeSink {
    /// Sets everything an open inode carries. The owner comes first, because changing it clears setuid bits and
    /// capabilities; the access ACL after the mode it refines; the time last, because all else may change it.
    func apply(_ entry: TreeEntry, to descriptor: CInt) throws {
        guard fchown(descriptor, entry.user, entry.group) == 0 else { throw ownerFailure(entry) }
        guard fchmod(descriptor, mode_t(entry.mode)) == 0 else {
            throw LXCError.lastSystemCall("fchmod", "set the mode of \"\(entry.path)\"")
        }
        try setAttributes(entry, of: .descriptor(descriptor))
        var times = Self.times(entry)
        guard futimens(descriptor, &times) == 0 else {
            throw LXCError.lastSystemCall("futimens", "set the time of \"\(entry.path)\"")
        }
    }

    /// The same for what cannot be opened; symbolic links have no mode.
    func applyToName(_ entry: TreeEntry, _ name: UnsafePointer<CChar>, in directory: CInt) throws {
        guard fchownat(directory, name, entry.user, entry.group, AT_SYMLINK_NOFOLLOW) == 0 else {
            throw ownerFailure(entry)
        }
        if case .symbolicLink = entry.kind {
        } else {
            let flags = clinux_o_path | clinux_o_nofollow
            guard let opened = Descriptor(name, in: directory, flags: flags),
                clinux_chmod_path_descriptor(opened.raw, mode_t(entry.mode)) == 0
            else { throw LXCError.lastSystemCall("chmod", "set the mode of \"\(entry.path)\"") }
        }
        try setAttributes(entry, of: .name(name, in: directory))
        var times = Self.times(entry)
        guard utimensat(directory, name, &times, AT_SYMLINK_NOFOLLOW) == 0 else {
            throw LXCError.lastSystemCall("utimensat", "set the time of \"\(entry.path)\"")
        }
    }

    private func setAttributes(_ entry: TreeEntry, of subject: ExtendedAttributes.Subject) throws {
        // Capabilities come last: they are the one attribute that gives power.
        for isCapability in [false, true] {
            for attribute in entry.attributes where attribute.isCapability == isCapability {
                let failure = ExtendedAttributes.set(attribute, of: subject)
                if failure == 0 { continue }
                guard Self.refusals.contains(failure) else {
                    throw LXCError.systemCall("setxattr", errno: failure, "set an attribute of \"\(entry.path)\"")
                }
                try lose(attribute.lossKind, entry.path)
            }
        }
    }

    /// The answers of a file system that cannot hold an attribute. ENOSPC is ext4's for a value larger than a block;
    /// when it is the disk that is full, the next file fails.
    private static let refusals: Set<CInt> = [EOPNOTSUPP, EINVAL, EPERM, EACCES, E2BIG, ERANGE, ENOSPC]

    private func ownerFailure(_ entry: TreeEntry) -> LXCError {
        LXCError.lastSystemCall("fchown", "give \"\(entry.path)\" to \(entry.user):\(entry.group)")
    }

    /// Access time and modification time: an inode just made was just read.
    private static func times(_ entry: TreeEntry) -> [timespec] {
        let time = timespec(tv_sec: Int(entry.modified.seconds), tv_nsec: Int(entry.modified.nanoseconds))
        return [time, time]
    }
}
