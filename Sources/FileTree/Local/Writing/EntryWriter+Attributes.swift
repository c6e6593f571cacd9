// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import LXCCore
import LinuxSystem

extension EntryWriter {
    /// Sets all attributes of an open inode. The owner comes first, because changing it clears setuid bits and
    /// capabilities; then attributes that need write permission, before the mode removes it; the access ACL after the
    /// mode it refines; the time last, because all other changes may alter it.
    ///
    /// - Parameters:
    ///   - entry: the attributes to set.
    ///   - descriptor: the inode, made by this process.
    ///   - made: the mode the inode has, where that is certain.
    /// - Throws: `LXCError` `permissionDenied`, `io`, `lossRefused`.
    func apply(_ entry: TreeEntry, to descriptor: CInt, made: UInt16?) throws {
        if !isCreator(entry), fchown(descriptor, entry.user, entry.group) != 0 {
            // A directory implied by its contents has no owner to restore.
            guard errno == EPERM, geteuid() != 0, entry == .impliedDirectory(entry.path) else {
                throw ownerFailure(entry)
            }
            try lose("owner", entry.path)
        }
        let subject = ExtendedAttributes.Subject.descriptor(descriptor)
        var made = made
        if entry.attributes.contains(where: \.name.isForUsers) {
            if let mode = made, mode & 0o200 == 0, geteuid() != 0 {
                try setMode(0o600, of: subject, entry.path)
                made = nil
            }
            try setAttributes(entry, of: subject) { $0.name.isForUsers }
        }
        if made != entry.mode { try setMode(entry.mode, of: subject, entry.path) }
        if !entry.attributes.isEmpty { try setAttributes(entry, of: subject) { !$0.name.isForUsers } }
        guard Self.withTimes(entry, { futimens(descriptor, $0) }) == 0 else {
            throw LXCError.lastSystemCall("futimens", "set the time of \"\(entry.path)\"")
        }
        try checkTime(entry, FileStatus(of: descriptor))
    }

    /// The same for inodes that cannot be opened; symbolic links have no mode.
    func apply(_ entry: TreeEntry, toName name: UnsafePointer<CChar>, in directory: CInt) throws {
        if !isCreator(entry) {
            guard fchownat(directory, name, entry.user, entry.group, AT_SYMLINK_NOFOLLOW) == 0 else {
                throw ownerFailure(entry)
            }
        }
        let subject = ExtendedAttributes.Subject.name(name, in: directory)
        if EntryKind(entry) != .symbolicLink { try setMode(entry.mode, of: subject, entry.path) }
        if !entry.attributes.isEmpty { try setAttributes(entry, of: subject) { _ in true } }
        guard Self.withTimes(entry, { utimensat(directory, name, $0, AT_SYMLINK_NOFOLLOW) }) == 0 else {
            throw LXCError.lastSystemCall("utimensat", "set the time of \"\(entry.path)\"")
        }
        try checkTime(entry, FileStatus(of: name, in: directory))
    }

    /// Changes what differs between two descriptions of an inode that is there: its owner, and the ids in its attributes.
    /// Neither changes the time of its contents.
    func change(_ old: TreeEntry, to new: TreeEntry, of subject: ExtendedAttributes.Subject) throws {
        if old.user != new.user || old.group != new.group {
            let failure = Self.unprotecting(subject) {
                switch subject {
                case .descriptor(let descriptor): fchown(descriptor, new.user, new.group) == 0 ? 0 : errno
                case .name(let name, let directory):
                    fchownat(directory, name, new.user, new.group, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : errno
                }
            }
            errno = failure
            guard failure == 0 else { throw ownerFailure(new) }
            // A change of owner clears the setuid and setgid bits and capabilities.
            if new.mode & 0o6000 != 0, EntryKind(new) != .symbolicLink { try setMode(new.mode, of: subject, new.path) }
        } else if old.attributes == new.attributes {
            return
        }
        try setAttributes(new, of: subject) { _ in true }
    }

    /// Sets a directory's attributes once everything is in it. Skips a name that is no longer a directory.
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

    private func setMode(_ mode: UInt16, of subject: ExtendedAttributes.Subject, _ path: TreePath) throws {
        let isSet =
            switch subject {
            case .descriptor(let descriptor): fchmod(descriptor, mode_t(mode)) == 0
            case .name(let name, let directory):
                if let opened = Descriptor(name, in: directory, flags: clinux_o_path | clinux_o_nofollow) {
                    clinux_chmod_path_descriptor(opened.raw, mode_t(mode)) == 0
                } else {
                    false
                }
            }
        guard isSet else { throw LXCError.lastSystemCall("chmod", "set the mode of \"\(path)\"") }
    }

    private func setAttributes(
        _ entry: TreeEntry, of subject: ExtendedAttributes.Subject, where isMeant: (TreeEntry.Attribute) -> Bool
    ) throws {
        // Capabilities come last: they are the one attribute that grants privileges.
        for isCapability in [false, true] {
            for attribute in entry.attributes where attribute.isCapability == isCapability && isMeant(attribute) {
                let failure = Self.unprotecting(subject) { ExtendedAttributes.set(attribute, of: subject) }
                if failure == 0 { continue }
                guard Self.refusals.contains(failure) || (failure == ENOSPC && subject.isTooSmall(for: attribute))
                else {
                    throw LXCError.systemCall(
                        "setxattr", errno: failure, "set the attribute \(attribute.name) of \"\(entry.path)\"")
                }
                try lose(attribute.lossKind, entry.path)
            }
        }
    }

    /// The answers of a file system that cannot hold an attribute; ENOSPC can be one too.
    private static let refusals: Set<CInt> = [EOPNOTSUPP, EINVAL, EPERM, EACCES, E2BIG, ERANGE]

    /// Repeats a change of an inode that a snapshot has brought along immutable: a copy is not. Returns 0 or the errno.
    private static func unprotecting(_ subject: ExtendedAttributes.Subject, _ change: () -> CInt) -> CInt {
        let failure = change()
        guard failure == EPERM, case .descriptor(let descriptor) = subject, clinux_clear_protection(descriptor) == 1
        else { return failure }
        return change()
    }

    /// Counts a time that the file system changed: one out of its range, or finer than its resolution.
    private func checkTime(_ entry: TreeEntry, _ status: @autoclosure () -> FileStatus?) throws {
        if tree.keepsTimes, (0...Int64(Int32.max)).contains(entry.modified.seconds) { return }
        guard let status = status() else { throw LXCError.lastSystemCall("statx", "look at \"\(entry.path)\"") }
        if status.modified != entry.modified { try lose("time", entry.path) }
    }

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
