// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
public import LXCCore

/// A root directory whose files are reached by the paths a guest uses; nothing outside of it is reachable.
///
/// The kernel resolves every path with openat2(2) and `RESOLVE_IN_ROOT`: absolute paths, `..` and symbolic links stay
/// inside, even if the guest changes them at the same time (the class of CVE-2018-15664), and magic links of /proc are
/// not followed. Needs Linux 5.6. Methods block.
public final class ConfinedRoot: Sendable {
    /// The type and metadata of a file.
    public struct Status: Hashable, Sendable, Codable {
        /// The types of file.
        public enum Kind: String, Hashable, Sendable, Codable {
            /// A regular file.
            case file
            /// A directory.
            case directory
            /// A symbolic link.
            case link
            /// A device, a FIFO or a socket.
            case other
        }

        /// The type of the file.
        public var kind: Kind
        /// The twelve permission bits.
        public var mode: UInt16
        /// Its owner.
        public var user: UInt32
        /// Its group.
        public var group: UInt32
        /// Bytes.
        public var size: ByteCount

        /// Creates a status.
        public init(kind: Kind, mode: UInt16, user: UInt32, group: UInt32, size: ByteCount) {
            self.kind = kind
            self.mode = mode
            self.user = user
            self.group = group
            self.size = size
        }
    }

    /// Bounds the retries: a guest may rename without end.
    private static let attempts = 256

    private let root: Descriptor
    /// The ids that create files where this process's own user cannot: on file systems the container has mounted
    /// itself, where only the container's ids exist.
    private let creator: (user: UInt32, group: UInt32)?
    /// The owner of the root, as named in errors.
    private let shown: String

    /// Creates a root over an open directory.
    package init(_ root: consuming Descriptor, creator: (user: UInt32, group: UInt32)? = nil, shown: String) {
        self.root = root
        self.creator = creator
        self.shown = shown
    }

    /// Opens a directory of the host.
    ///
    /// - Throws: `LXCError` `notFound`.
    public convenience init(path: String, shown: String) throws {
        guard let root = Descriptor(path, flags: clinux_o_path | clinux_o_directory | clinux_o_nofollow) else {
            throw LXCError.lastSystemCall("open", "open the root of \(shown)")
        }
        self.init(root, shown: shown)
    }

    // MARK: Reading

    /// Opens a regular file to read.
    ///
    /// - Throws: `LXCError` `notFound`; `invalidArgument` when it is something else, which is not opened.
    package func openFile(_ path: String) throws -> Descriptor {
        // Looked at before it is really opened: opening a device or a FIFO can have effects.
        let found = try open(path, clinux_o_path, "read")
        guard let status = FileStatus(of: found.raw) else { throw failed("statx", "look at", path) }
        guard status.type == S_IFREG else {
            throw LXCError(.invalidArgument, "\(path.escapedForDisplay) of \(shown) is not a regular file")
        }
        guard let file = Descriptor("/proc/self/fd/\(found.raw)", flags: O_RDONLY | O_NONBLOCK | O_NOCTTY) else {
            throw failed("open", "open", path)
        }
        return file
    }

    /// A program: the last name of the path it is really at, links resolved, and its first bytes; nil where there is no
    /// regular file.
    package func program(_ path: String) -> (name: String, beginning: [UInt8])? {
        guard let file = try? openFile(path) else { return nil }
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(PATH_MAX)) { target in
            let length = readlink("/proc/self/fd/\(file.raw)", target.baseAddress.unsafelyUnwrapped, target.count)
            var beginning = [UInt8](repeating: 0, count: 64)
            let count = Descriptor.retrying { Glibc.read(file.raw, &beginning, beginning.count) }
            guard length > 0, count >= 0 else { return nil }
            let name = target[..<length].reversed().prefix { $0 != CChar(UInt8(ascii: "/")) }.reversed()
            return (String(decoding: name.map(UInt8.init(bitPattern:)), as: UTF8.self), Array(beginning[..<count]))
        }
    }

    /// Reads a small file, or returns `nil` if there is no such file.
    ///
    /// - Throws: `LXCError` `limitExceeded` beyond `limit` bytes, `invalidArgument` when it is not a regular file.
    public func read(_ path: String, limit: Int) throws -> [UInt8]? {
        guard try status(path) != nil else { return nil }
        let file = try openFile(path)
        guard let bytes = Descriptor.readAll(file.raw, limit: limit) else { throw failed("read", "read", path) }
        if bytes.count <= limit { return bytes }
        throw LXCError(
            .limitExceeded, "\(path.escapedForDisplay) of \(shown) has more than the \(limit) bytes that are accepted")
    }

    /// The status of the file at a path, without following a symbolic link in the last component. Nil if there is none.
    public func status(_ path: String) throws -> Status? {
        guard let found = try find(path, clinux_o_path | clinux_o_nofollow, "look at") else { return nil }
        guard let status = FileStatus(of: found.raw) else { throw failed("statx", "look at", path) }
        let kind: Status.Kind =
            switch status.type {
            case S_IFREG: .file
            case S_IFDIR: .directory
            case S_IFLNK: .link
            default: .other
            }
        return Status(
            kind: kind, mode: status.mode, user: status.user, group: status.group, size: ByteCount(status.size))
    }

    /// The names in a directory, ordered.
    public func list(_ path: String) throws -> [String] {
        let directory = try openDirectory(path)
        guard var names = DirectoryNames(reading: directory.raw, order: .name) else {
            throw failed("getdents64", "list", path)
        }
        var list: [String] = []
        while let name = names.withNext({ String(decoding: $0.bytes, as: UTF8.self) }) { list.append(name) }
        return list
    }

    /// Opens a directory to work in.
    package func openDirectory(_ path: String) throws -> Descriptor {
        try open(path, O_RDONLY | clinux_o_directory, "open")
    }

    /// Opens a terminal.
    ///
    /// - Throws: `LXCError` `unsafe` if it is of another type: a container controls the contents of its root.
    package func openTerminal(_ path: String) throws -> Descriptor {
        let found = try open(path, clinux_o_path | clinux_o_nofollow, "look at")
        // UNIX98_PTY_SLAVE_MAJOR is eight numbers long (Documentation/admin-guide/devices.txt of the kernel).
        let terminals: ClosedRange<UInt32> = 136...143
        guard let status = FileStatus(of: found.raw), status.type == S_IFCHR,
            terminals.contains(status.deviceNumbers.major)
        else { throw LXCError(.unsafe, "\(path.escapedForDisplay) of \(shown) is not a terminal") }
        let flags = O_RDWR | O_NONBLOCK | O_NOCTTY
        guard let terminal = Descriptor("/proc/self/fd/\(found.raw)", flags: flags) else {
            throw failed("open", "open", path)
        }
        return terminal
    }

    // MARK: Writing

    /// Replaces a file atomically: readers see the old contents or the new.
    ///
    /// A link in the place of the file is replaced, not followed; links on the way are followed inside.
    ///
    /// - Parameters:
    ///   - bytes: the contents.
    ///   - path: the file's path in the root.
    ///   - mode: its permissions.
    ///   - owner: user and group, as the host counts them.
    /// - Throws: `LXCError` `notFound` without the directory, `invalidArgument` for a path that names no file, `io`.
    public func write(
        _ bytes: [UInt8], to path: String, mode: UInt16 = 0o644, owner: (user: UInt32, group: UInt32)
    ) throws {
        try replace(path, mode: mode, owner: owner) { file in
            guard bytes.withUnsafeBytes({ Descriptor.writeAll($0, to: file) }) else {
                throw failed("write", "write", path)
            }
        }
    }

    /// Has `fill` write a new file beside a path, and puts it in the path's place.
    package func replace(
        _ path: String, mode: UInt16, owner: (user: UInt32, group: UInt32), _ fill: (CInt) throws -> Void
    ) throws {
        let (parent, name) = try split(path)
        let directory = try openDirectory(parent)
        let temporary = ".\(UInt64.random(in: 0 ... .max)).new"
        let flags = O_WRONLY | O_CREAT | O_EXCL | clinux_o_nofollow
        let made = create { clinux_open(directory.raw, temporary, flags | clinux_o_cloexec, 0o600) }
        guard made >= 0 else { throw failed("openat", "create", path) }
        let file = Descriptor(adopting: made)
        do {
            try fill(file.raw)
            guard fchown(file.raw, owner.user, owner.group) == 0 else { throw failed("fchown", "give away", path) }
            guard fchmod(file.raw, mode_t(mode)) == 0 else { throw failed("fchmod", "set the mode of", path) }
            guard fsync(file.raw) == 0 else { throw failed("fsync", "write", path) }
            guard create({ renameat(directory.raw, temporary, directory.raw, name) }) == 0 else {
                throw failed("renameat", "write", path)
            }
        } catch {
            unlinkat(directory.raw, temporary, 0)
            throw error
        }
    }

    /// Makes a directory. An existing one stays unchanged.
    public func makeDirectory(_ path: String, mode: UInt16 = 0o755, owner: (user: UInt32, group: UInt32)) throws {
        let (parent, name) = try split(path)
        let directory = try openDirectory(parent)
        guard create({ mkdirat(directory.raw, name, 0o700) }) == 0 else {
            guard errno == EEXIST else { throw failed("mkdirat", "make the directory", path) }
            _ = try openDirectory(path)
            return
        }
        let flags = O_RDONLY | clinux_o_directory | clinux_o_nofollow
        guard let made = Descriptor(name, in: directory.raw, flags: flags) else {
            throw failed("openat", "open the directory", path)
        }
        guard fchown(made.raw, owner.user, owner.group) == 0, fchmod(made.raw, mode_t(mode)) == 0 else {
            throw failed("fchown", "give away the directory", path)
        }
    }

    /// Removes a file or a link. Does nothing if it is gone.
    public func remove(_ path: String) throws {
        let (parent, name) = try split(path)
        guard let directory = try find(parent, O_RDONLY | clinux_o_directory, "open") else { return }
        guard unlinkat(directory.raw, name, 0) == 0 || errno == ENOENT else { throw failed("unlinkat", "remove", path) }
    }

    /// Makes a name, as the creator where the file system does not know this process's own user.
    private func create(_ make: () -> CInt) -> CInt {
        let result = make()
        guard result < 0, errno == EOVERFLOW, let creator else { return result }
        clinux_set_creator(creator.user, creator.group)
        let second = make()
        let number = errno
        clinux_set_creator(geteuid(), getegid())
        errno = number
        return second
    }

    // MARK: Paths

    private func open(_ path: String, _ flags: CInt, _ doing: String) throws -> Descriptor {
        guard let found = try find(path, flags, doing) else { throw failed("openat2", doing, path) }
        return found
    }

    /// Opens the file at a path; nil, with `errno` set, if there is none.
    private func find(_ path: String, _ flags: CInt, _ doing: String) throws -> Descriptor? {
        try requireNoNUL(path, "a path of \(shown)")
        for _ in 0..<Self.attempts {
            let raw = clinux_open_in_root(root.raw, path.isEmpty ? "/" : path, flags | clinux_o_cloexec)
            if raw >= 0 { return Descriptor(adopting: raw) }
            // EAGAIN: something was renamed while the kernel resolved; the answer would not have been certain.
            guard errno == EINTR || errno == EAGAIN else { break }
        }
        if errno == ENOENT { return nil }
        throw failed("openat2", doing, path)
    }

    /// The directory of a path, and the name in it.
    private func split(_ path: String) throws -> (parent: String, name: String) {
        try requireNoNUL(path, "a path of \(shown)")
        let components = path.split(separator: "/")
        guard let name = components.last, name != ".", name != ".." else {
            throw LXCError(.invalidArgument, "\"\(path.escapedForDisplay)\" names no file of \(shown)")
        }
        return ("/" + components.dropLast().joined(separator: "/"), String(name))
    }

    private func failed(_ call: String, _ doing: String, _ path: String) -> LXCError {
        LXCError.lastSystemCall(call, "\(doing) \(path.escapedForDisplay) of \(shown)")
    }
}
