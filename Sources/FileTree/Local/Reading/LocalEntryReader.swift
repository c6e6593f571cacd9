// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import LXCCore
import LinuxSystem

/// Reads entries of a tree that is open. Each thread has its own.
///
/// Every name is looked up in an open directory, and no link is followed. What disappears between being listed and
/// being read is counted as a loss and yields nothing.
final class LocalEntryReader {
    /// The total time to wait for files that other programs hold leases on. The kernel breaks a lease after 45 seconds
    /// (fs.lease-break-time), but one program can hold many.
    private static let patience = 120_000
    private static let pause = 20

    private let root: FileStatus
    private let cancellation: Cancellation?
    private var patience = LocalEntryReader.patience
    private let attributes = ExtendedAttributes()
    private(set) var losses = TreeLosses()

    /// Creates a reader confined to the mount of the tree's root.
    init(root: FileStatus, cancellation: Cancellation? = nil) {
        self.root = root
        self.cancellation = cancellation
    }

    /// The object a name refers to.
    func status(_ name: UnsafePointer<CChar>, in directory: CInt, _ path: TreePath) throws -> FileStatus? {
        guard let status = FileStatus(of: name, in: directory) else {
            try lose(path, ifVanished: "statx")
            return nil
        }
        try requireSameMount(status, path)
        return status
    }

    /// Opens a directory.
    func openDirectory(
        _ name: UnsafePointer<CChar>, in directory: CInt, _ path: TreePath
    ) throws -> (descriptor: CInt, entry: TreeEntry, status: FileStatus)? {
        let flags = O_RDONLY | clinux_o_directory | clinux_o_nofollow
        guard let opened = Descriptor(name, in: directory, flags: flags), let status = FileStatus(of: opened.raw) else {
            try lose(path, ifVanished: "openat")
            return nil
        }
        try requireSameMount(status, path)
        guard let entry = try entry(path, .directory, status, .descriptor(opened.raw)) else { return nil }
        return (opened.release(), entry, status)
    }

    /// Opens a regular file.
    func openFile(
        _ name: UnsafePointer<CChar>, in directory: CInt, _ path: TreePath
    ) throws -> (file: OpenFile, status: FileStatus)? {
        guard let opened = try open(name, in: directory), let status = FileStatus(of: opened.raw) else {
            if errno == EWOULDBLOCK {
                losses.add("leased", path)
            } else {
                try lose(path, ifVanished: "openat")
            }
            return nil
        }
        try requireSameMount(status, path)
        guard status.type == S_IFREG else {
            losses.add("vanished", path)
            return nil
        }
        return (OpenFile(opened, path: path, status: status), status)
    }

    /// Opens a file once no lease on it is left (fcntl(2), F_SETLEASE): the first attempt asks the holder to release
    /// it. Nil with `errno` set.
    private func open(_ name: UnsafePointer<CChar>, in directory: CInt) throws -> Descriptor? {
        while true {
            // O_NONBLOCK: opening must not wait if a FIFO has taken the file's place.
            let flags = O_RDONLY | O_NONBLOCK | clinux_o_nofollow
            if let opened = Descriptor(name, in: directory, flags: flags) { return opened }
            guard errno == EWOULDBLOCK, patience > 0 else { return nil }
            try cancellation?.check()
            patience -= Self.pause
            usleep(UInt32(Self.pause) * 1_000)
        }
    }

    /// Reads a symbolic link, device or FIFO. A socket belongs to the program that made it and is counted as a loss.
    func special(
        _ name: UnsafePointer<CChar>, in directory: CInt, _ path: TreePath, _ status: FileStatus
    ) throws -> TreeEntry? {
        let numbers = status.deviceNumbers
        let kind: TreeEntry.Kind
        switch status.type {
        case S_IFLNK:
            guard let target = Self.readLink(name, in: directory) else {
                // It is no link any more.
                if errno == EINVAL { errno = ENOENT }
                try lose(path, ifVanished: "readlinkat")
                return nil
            }
            kind = .symbolicLink(target: target)
        case S_IFCHR: kind = .characterDevice(major: numbers.major, minor: numbers.minor)
        case S_IFBLK: kind = .blockDevice(major: numbers.major, minor: numbers.minor)
        case S_IFIFO: kind = .fifo
        default:
            losses.add(status.type == S_IFSOCK ? "socket" : "unknown", path)
            return nil
        }
        return try entry(path, kind, status, .name(name, in: directory))
    }

    /// The entry for an inode.
    func entry(
        _ path: TreePath, _ kind: TreeEntry.Kind, _ status: FileStatus, _ subject: ExtendedAttributes.Subject
    ) throws -> TreeEntry? {
        guard let reading = attributes.read(subject) else {
            try lose(path, ifVanished: "listxattr")
            return nil
        }
        for loss in reading.losses { losses.add(loss, path) }
        return TreeEntry(
            path: path, kind: kind, mode: status.mode, user: status.user, group: status.group,
            modified: status.modified, attributes: reading.attributes)
    }

    /// Counts an entry that went away, or made place for something else, between being listed and being read; any other
    /// failure is an error.
    func lose(_ path: TreePath, ifVanished call: String) throws {
        guard [ENOENT, ESTALE, ELOOP, ENOTDIR, ENXIO].contains(errno) else {
            throw LXCError.lastSystemCall(call, "read \"\(path)\"")
        }
        losses.add("vanished", path)
    }

    /// Refuses anything mounted inside the tree.
    func requireSameMount(_ status: FileStatus, _ path: TreePath) throws {
        guard status.isOnSameMount(as: root) else { throw Self.mountPoint(path) }
    }

    /// The error for a mount inside a tree.
    static func mountPoint(_ path: TreePath) -> LXCError {
        LXCError(.unsafe, "\"\(path)\" is a mount point; unmount it, because a copy does not cross mounts")
    }

    private static func readLink(_ name: UnsafePointer<CChar>, in directory: CInt) -> [UInt8]? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(PATH_MAX)) { buffer in
            let length = readlinkat(directory, name, buffer.baseAddress.unsafelyUnwrapped, buffer.count)
            return length < 0 ? nil : buffer[..<length].map { UInt8(bitPattern: $0) }
        }
    }
}
