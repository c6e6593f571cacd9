import CLinux
import Glibc
import LXCCore

extension EntryWriter {
    /// Sets everything an open inode carries. The owner comes first, because changing it clears setuid bits and
    /// capabilities; the access ACL after the mode it refines; the time last, because all else may change it.
    ///
    /// - Parameters:
    ///   - entry: what to set.
    ///   - descriptor: the inode, made by this process.
    ///   - made: the mode the inode has, where that is certain.
    /// - Throws: `LXCError` `permissionDenied`, `io`, `lossRefused`.
    func apply(_ entry: TreeEntry, to descriptor: CInt, made: UInt16?) throws {
        if !isCreator(entry) {
            guard fchown(descriptor, entry.user, entry.group) == 0 else { throw ownerFailure(entry) }
        }
        if made != entry.mode {
            guard fchmod(descriptor, mode_t(entry.mode)) == 0 else {
                throw LXCError.lastSystemCall("fchmod", "set the mode of \"\(entry.path)\"")
            }
        }
        if !entry.attributes.isEmpty { try setAttributes(entry, of: .descriptor(descriptor)) }
        guard Self.withTimes(entry, { futimens(descriptor, $0) }) == 0 else {
            throw LXCError.lastSystemCall("futimens", "set the time of \"\(entry.path)\"")
        }
    }

    /// The same for what cannot be opened; symbolic links have no mode.
    func apply(_ entry: TreeEntry, toName name: UnsafePointer<CChar>, in directory: CInt) throws {
        if !isCreator(entry) {
            guard fchownat(directory, name, entry.user, entry.group, AT_SYMLINK_NOFOLLOW) == 0 else {
                throw ownerFailure(entry)
            }
        }
        if EntryKind(entry) != .symbolicLink {
            let flags = clinux_o_path | clinux_o_nofollow
            guard let opened = Descriptor(name, in: directory, flags: flags),
                clinux_chmod_path_descriptor(opened.raw, mode_t(entry.mode)) == 0
            else { throw LXCError.lastSystemCall("chmod", "set the mode of \"\(entry.path)\"") }
        }
        if !entry.attributes.isEmpty { try setAttributes(entry, of: .name(name, in: directory)) }
        guard Self.withTimes(entry, { utimensat(directory, name, $0, AT_SYMLINK_NOFOLLOW) }) == 0 else {
            throw LXCError.lastSystemCall("utimensat", "set the time of \"\(entry.path)\"")
        }
    }

    /// Changes what differs between two descriptions of an inode that is there: its owner, and the ids in its attributes.
    /// Neither changes the time of its contents.
    func change(_ old: TreeEntry, to new: TreeEntry, of subject: ExtendedAttributes.Subject) throws {
        if old.user != new.user || old.group != new.group {
            let result =
                switch subject {
                case .descriptor(let descriptor): fchown(descriptor, new.user, new.group)
                case .name(let name, let directory):
                    fchownat(directory, name, new.user, new.group, AT_SYMLINK_NOFOLLOW)
                }
            guard result == 0 else { throw ownerFailure(new) }
            // A change of owner takes the setuid and setgid bits, and capabilities, away.
            if case .descriptor(let descriptor) = subject, new.mode & 0o6000 != 0 {
                guard fchmod(descriptor, mode_t(new.mode)) == 0 else {
                    throw LXCError.lastSystemCall("fchmod", "set the mode of \"\(new.path)\"")
                }
            }
        } else if old.attributes == new.attributes {
            return
        }
        try setAttributes(new, of: subject)
    }

    /// Sets a directory's attributes once everything is in it. One that is no directory any more is passed over.
    func finishDirectory(_ entry: TreeEntry) throws {
        if entry.path.isRoot { return try apply(entry, to: tree.root, made: nil) }
        guard let directory = open(entry.path, flags: O_RDONLY | clinux_o_directory) else {
            if errno == ENOENT || errno == ENOTDIR || errno == ELOOP { return }
            throw LXCError.lastSystemCall("openat2", "open the directory \"\(entry.path)\" again")
        }
        try apply(entry, to: directory.raw, made: nil)
    }

    private func isCreator(_ entry: TreeEntry) -> Bool {
        guard let creator = tree.creator else { return false }
        return creator.user == entry.user && creator.group == entry.group
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
    private static func withTimes<Result>(_ entry: TreeEntry, _ body: (UnsafePointer<timespec>?) -> Result) -> Result {
        let time = timespec(tv_sec: Int(entry.modified.seconds), tv_nsec: Int(entry.modified.nanoseconds))
        return withUnsafeTemporaryAllocation(of: timespec.self, capacity: 2) { times in
            times.initialize(repeating: time)
            return body(times.baseAddress)
        }
    }
}
