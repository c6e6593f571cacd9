// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import LXCCore
import LinuxSystem
import Synchronization

/// Makes the entries of a tree below an open root. Each thread has its own; several work on one tree.
///
/// Every name is made in a directory that is open, and directories are opened without following anything.
final class EntryWriter {
    /// The state shared by the writers of one tree.
    final class Tree: Sendable {
        let root: CInt
        let resolution: PathResolution
        let isLossless: Bool
        /// The owner of what this process creates here; `nil` if that is not certain (a server may decide otherwise).
        let creator: (user: UInt32, group: UInt32)?
        /// Whether the file system stores every time from 1970 to 2038 to the nanosecond, so that only other times need
        /// checking.
        let keepsTimes: Bool
        /// Devices that could not be made.
        let lost = Mutex<Set<TreePath>>([])
        /// Counts removals of names: directories opened before may be among them.
        let removals = Atomic(0)

        init(_ staged: StagedDirectory, resolution: PathResolution, isLossless: Bool, setsTimes: Bool = true) {
            root = staged.root.raw
            keepsTimes = setsTimes && Self.keepsTimes(root)
            creator = staged.creator
            self.resolution = resolution
            self.isLossless = isLossless
        }

        /// Tries it with the root, which gets its own time at the end.
        private static func keepsTimes(_ root: CInt) -> Bool {
            let time = timespec(tv_sec: 1_234_567_890, tv_nsec: 123_456_789)
            let result = withUnsafeTemporaryAllocation(of: timespec.self, capacity: 2) { times in
                times.initialize(repeating: time)
                return futimens(root, times.baseAddress)
            }
            return result == 0
                && FileStatus(of: root)?.modified == Timestamp(seconds: 1_234_567_890, nanoseconds: 123_456_789)
        }
    }

    let tree: Tree
    private let ownsUmask: Bool
    private let descent: PathDescent
    private var parentPath: TreePath?
    private var parent: Descriptor?
    private var removals = 0
    private(set) var losses = TreeLosses()

    /// Creates a writer with what all writers of the tree share.
    ///
    /// - Parameters:
    ///   - tree: the destination.
    ///   - ownsThread: whether the thread this is used on is this package's alone.
    init(_ tree: Tree, ownsThread: Bool) {
        self.tree = tree
        descent = PathDescent(root: tree.root, tree.resolution)
        ownsUmask = ownsThread && clinux_clear_own_umask() == 0
    }

    /// Opens the object at a path in the tree; `nil` with `errno` set.
    func open(_ path: TreePath, flags: CInt) -> Descriptor? {
        forgetRemoved()
        return descent.open(path, flags: flags)
    }

    /// The directory opened before may be gone, and another have its name.
    private func forgetRemoved() {
        let removals = tree.removals.load(ordering: .acquiring)
        guard removals != self.removals else { return }
        self.removals = removals
        parent = nil
        parentPath = nil
        descent.forget()
    }

    /// Opens the directory an entry is in. The descriptor is valid until the next call.
    func enterParent(of path: TreePath) throws -> CInt {
        guard let wanted = path.parent, !wanted.isRoot else { return tree.root }
        forgetRemoved()
        if let raw = parent?.raw, parentPath == wanted { return raw }
        parent = nil
        parentPath = nil
        guard let opened = descent.open(wanted, flags: clinux_o_path | clinux_o_directory) else {
            if errno == ELOOP || errno == ENOTDIR {
                throw LXCError(.unsafe, "\"\(path)\" would be made through something that is not a directory; refused")
            }
            throw LXCError.lastSystemCall("openat2", "open the directory \"\(wanted)\"")
        }
        let raw = opened.raw
        parent = consume opened
        parentPath = wanted
        return raw
    }

    // MARK: Making

    /// Makes a directory, open to its owner alone until its attributes are set.
    func makeDirectory(_ path: TreePath, _ name: UnsafePointer<CChar>, in directory: CInt) throws {
        guard mkdirat(directory, name, 0o700) == 0 else {
            throw LXCError.lastSystemCall("mkdirat", "create \"\(path)\"")
        }
    }

    /// Makes a regular file, open for writing. The mode it gets is returned, nil where that is not certain.
    func makeFile(
        _ entry: TreeEntry, _ name: UnsafePointer<CChar>, in directory: CInt
    ) throws -> (descriptor: CInt, mode: UInt16?) {
        let mode = ownsUmask ? entry.mode & 0o777 : 0o600
        let flags = O_RDWR | O_CREAT | O_EXCL | clinux_o_nofollow | clinux_o_cloexec
        let raw = Descriptor.retrying { clinux_open(directory, name, flags, mode_t(mode)) }
        guard raw >= 0 else { throw LXCError.lastSystemCall("openat", "create \"\(entry.path)\"") }
        return (raw, ownsUmask ? mode : nil)
    }

    /// Makes a symbolic link, device or FIFO with all its attributes. Returns `false` for a device that was lost.
    func makeSpecial(_ entry: TreeEntry, _ name: UnsafePointer<CChar>, in directory: CInt) throws -> Bool {
        let result: CInt
        switch entry.kind {
        case .symbolicLink(let target):
            result = withCString(target) { symlinkat($0, directory, name) }
        case .fifo: result = clinux_mknodat(directory, name, S_IFIFO | 0o600, 0, 0)
        case .characterDevice(let major, let minor):
            result = clinux_mknodat(directory, name, S_IFCHR | 0o600, major, minor)
        case .blockDevice(let major, let minor):
            result = clinux_mknodat(directory, name, S_IFBLK | 0o600, major, minor)
        case .directory, .file, .hardLink: return false
        }
        guard result == 0 else {
            if errno == EPERM, EntryKind(entry) == .device {
                try lose("device", entry.path)
                tree.lost.withLock { _ = $0.insert(entry.path) }
                return false
            }
            throw LXCError.lastSystemCall("mknodat", "create \"\(entry.path)\"")
        }
        try apply(entry, toName: name, in: directory)
        return true
    }

    /// Makes another name of an existing inode.
    func makeLink(_ path: TreePath, to target: TreePath) throws {
        let directory = try enterParent(of: path)
        guard !target.isRoot else { throw badLink(path, target, .unsafe, "to a directory") }
        guard let opened = open(target, flags: clinux_o_path), let status = FileStatus(of: opened.raw) else {
            switch errno {
            case ENOENT where tree.lost.withLock({ $0.contains(target) }): return try lose("device", path)
            case ENOENT: throw badLink(path, target, .corrupt, "to an entry that did not come before it")
            case ELOOP, ENOTDIR: throw badLink(path, target, .unsafe, "through something that is not a directory")
            default: throw LXCError.lastSystemCall("openat2", "open the hard link target \"\(target)\"")
            }
        }
        guard status.type != S_IFDIR else { throw badLink(path, target, .unsafe, "to a directory") }
        let result = withCString(path.name) { clinux_link_descriptor(opened.raw, directory, $0) }
        guard result == 0 else { throw LXCError.lastSystemCall("linkat", "create \"\(path)\"") }
    }

    private func badLink(_ path: TreePath, _ target: TreePath, _ code: LXCError.Code, _ why: String) -> LXCError {
        LXCError(code, "\"\(path)\" is a hard link \(why) (\"\(target)\"); refused")
    }

    /// Removes a name with everything below it. Returns `false` for a directory if `keepsDirectory`.
    ///
    /// No other writer may be at work.
    func remove(_ path: TreePath, keepsDirectory: Bool) throws -> Bool {
        let directory = try enterParent(of: path)
        return try withCString(path.name) { name in
            if keepsDirectory, FileStatus(of: name, in: directory)?.type == S_IFDIR { return false }
            try TreeRemover(cancellation: nil).remove(name, in: directory)
            tree.removals.add(1, ordering: .releasing)
            return true
        }
    }

    // MARK: Losses

    func lose(_ kind: String, _ path: TreePath) throws {
        losses.add(kind, path)
        if tree.isLossless {
            throw LXCError(
                .lossRefused, "the destination cannot hold \(kind.escapedForDisplay) of \"\(path)\"; allow losses")
        }
    }
}
