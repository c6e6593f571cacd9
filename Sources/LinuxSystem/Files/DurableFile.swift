// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import LXCCore

/// Small files and directories that must be either old or new after a crash, never a mixture.
///
/// Synchronous: call it on a ``BlockingPool``.
package enum DurableFile {
    /// Replaces a file: written beside it under another name, synced, renamed over it, the directory synced.
    package static func write(_ bytes: some Collection<UInt8>, to path: String, mode: UInt32 = 0o600) throws {
        try requireNoNUL(path, "the path")
        let temporary = "\(path).\(RandomName.make())"
        do {
            try writeNew(bytes, to: temporary, mode: mode)
            guard rename(temporary, path) == 0 else { throw LXCError.lastSystemCall("rename", "write \(path)") }
        } catch {
            unlink(temporary)
            throw error
        }
        try syncDirectory(of: path)
    }

    /// Creates a file that does not exist yet and syncs it, but not its directory.
    package static func writeNew(_ bytes: some Collection<UInt8>, to path: String, mode: UInt32) throws {
        try requireNoNUL(path, "the path")
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw LXCError.lastSystemCall("open", "create \(path)") }
        defer { close(descriptor) }
        guard Array(bytes).withUnsafeBytes({ Descriptor.writeAll($0, to: descriptor) }) else {
            throw LXCError.lastSystemCall("write", "write \(path)")
        }
        guard fsync(descriptor) == 0 else { throw LXCError.lastSystemCall("fsync", "sync \(path)") }
    }

    /// The contents of a regular file, or `nil` if there is no such file.
    ///
    /// - Throws: ``LXCError`` `limitExceeded` beyond `limit` bytes, `corrupt` when it is not a regular file, `io`.
    package static func read(_ path: String, limit: Int = 1 << 20) throws -> [UInt8]? {
        try requireNoNUL(path, "the path")
        let descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw LXCError.lastSystemCall("open", "read \(path)")
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw LXCError.lastSystemCall("fstat", "read \(path)") }
        guard status.st_mode & S_IFMT == S_IFREG else { throw LXCError(.corrupt, "\(path) is not a regular file") }
        guard status.st_size <= limit else {
            throw LXCError(.limitExceeded, "\(path) has \(status.st_size) bytes; \(limit) are accepted")
        }
        return try readAll(descriptor, path, limit: limit)
    }

    private static func readAll(_ descriptor: CInt, _ path: String, limit: Int) throws -> [UInt8] {
        var contents: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while contents.count <= limit {
            let count = buffer.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw LXCError.lastSystemCall("read", "read \(path)") }
            if count == 0 { return contents }
            contents += buffer[..<count]
        }
        throw LXCError(.limitExceeded, "\(path) has more than the \(limit) bytes that are accepted")
    }

    /// Renames a finished file or directory to its public name, which must be free, and syncs the directory.
    ///
    /// - Throws: ``LXCError`` `alreadyExists` when the name is taken, `io`.
    package static func publish(_ staged: String, as path: String) throws {
        for text in [staged, path] { try requireNoNUL(text, "the path") }
        var result = clinux_rename_noreplace(AT_FDCWD, staged, AT_FDCWD, path)
        if result != 0, errno == EINVAL || errno == ENOSYS {
            // Some network file systems lack RENAME_NOREPLACE. The caller's lock keeps others away.
            var status = stat()
            guard lstat(path, &status) != 0 else {
                throw LXCError.systemCall("lstat", errno: EEXIST, "publish \(path)")
            }
            result = rename(staged, path)
        }
        guard result == 0 else { throw LXCError.lastSystemCall("renameat2", "publish \(path)") }
        try syncDirectory(of: path)
    }

    /// Makes a directory unless it is there; its parent must be there.
    package static func makeDirectory(_ path: String, mode: UInt32) throws {
        try requireNoNUL(path, "the path")
        guard mkdir(path, mode) == 0 || errno == EEXIST else {
            throw LXCError.lastSystemCall("mkdir", "make the directory \(path)")
        }
    }

    /// Makes a directory of this user's alone, unless it is there; its parent must be there.
    ///
    /// - Throws: ``LXCError`` `unsafe` if a link, another user's directory or one open to others has the name.
    package static func makePrivateDirectory(_ path: String) throws {
        try makeDirectory(path, mode: 0o700)
        guard try isPrivateDirectory(path) else {
            throw LXCError.systemCall("lstat", errno: ENOENT, "look at \(path.escapedForDisplay)")
        }
    }

    /// Makes a directory unless it is there, and the missing directories above it, for this user alone.
    ///
    /// Directories in a world-writable directory, such as `/tmp`, must belong to this user: another user could have
    /// made them first.
    ///
    /// - Throws: ``LXCError`` `unsafe` when they do not.
    package static func makeOwnDirectories(_ path: String) throws {
        try requireNoNUL(path, "the path")
        let parent = parent(of: path)
        if parent != path { try makeOwnDirectories(parent) }
        if !exists(path) { try makeDirectory(path, mode: 0o700) }
        if isWritableByAll(parent) { try requireOwn(path) }
    }

    /// Requires a directory, not a link, that belongs to this user or root and that no other user can write to.
    ///
    /// - Throws: ``LXCError`` `unsafe`.
    package static func requireOwn(_ path: String) throws {
        try requireNoNUL(path, "the path")
        var status = stat()
        guard lstat(path, &status) == 0 else {
            throw LXCError.lastSystemCall("lstat", "look at \(path.escapedForDisplay)")
        }
        let isOurs = status.st_uid == geteuid() || status.st_uid == 0
        // In a sticky directory, such as /tmp itself, only its owner can rename or remove an entry.
        guard status.st_mode & S_IFMT == S_IFDIR, isOurs, status.st_mode & 0o022 == 0 || status.st_mode & S_ISVTX != 0
        else {
            throw LXCError(
                .unsafe,
                "\(path.escapedForDisplay) must be a directory, not a link, that belongs to this user and that no other "
                    + "user can write to; find out who made it and remove it, or choose another directory")
        }
    }

    private static func exists(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0
    }

    private static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    private static func isWritableByAll(_ directory: String) -> Bool {
        var status = stat()
        return stat(directory, &status) == 0 && status.st_mode & 0o002 != 0
    }

    /// Whether there is a directory of that path, which is this user's alone.
    ///
    /// - Throws: ``LXCError`` `unsafe` if a link, another user's directory or one open to others has the name.
    package static func isPrivateDirectory(_ path: String) throws -> Bool {
        try requireNoNUL(path, "the path")
        var status = stat()
        guard lstat(path, &status) == 0 else {
            if errno == ENOENT { return false }
            throw LXCError.lastSystemCall("lstat", "look at \(path.escapedForDisplay)")
        }
        let isOurs = status.st_uid == geteuid() || status.st_uid == 0
        guard status.st_mode & S_IFMT == S_IFDIR, isOurs, status.st_mode & 0o077 == 0 else {
            throw LXCError(
                .unsafe,
                "\(path.escapedForDisplay) must be a directory, not a link, that belongs to this user alone; find out who made "
                    + "it, then: chmod 700, chown")
        }
        return true
    }

    /// Removes a file, durably.
    ///
    /// - Returns: whether there was one.
    package static func remove(_ path: String) throws -> Bool {
        try requireNoNUL(path, "the path")
        guard unlink(path) == 0 else {
            if errno == ENOENT { return false }
            throw LXCError.lastSystemCall("unlink", "remove \(path)")
        }
        try syncDirectory(of: path)
        return true
    }

    /// The names in a directory, sorted; empty if there is no such directory.
    package static func list(_ path: String) throws -> [String] {
        try requireNoNUL(path, "the path")
        guard let directory = opendir(path) else {
            if errno == ENOENT { return [] }
            throw LXCError.lastSystemCall("opendir", "list \(path)")
        }
        defer { closedir(directory) }
        var names: [String] = []
        errno = 0
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
            errno = 0
        }
        guard errno == 0 else { throw LXCError.lastSystemCall("readdir", "list \(path)") }
        return names.sorted()
    }

    /// Whether there is a directory at that path; a symbolic link to a directory does not count.
    package static func isDirectory(_ path: String) -> Bool {
        var status = stat()
        return !path.utf8.contains(0) && lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// Makes the directory's entry of `path` durable.
    package static func syncDirectory(of path: String) throws {
        try requireNoNUL(path, "the path")
        let parent = parent(of: path)
        let descriptor = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw LXCError.lastSystemCall("open", "sync \(parent)") }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw LXCError.lastSystemCall("fsync", "sync \(parent)") }
    }
}

/// Names for things under construction.
package enum RandomName {
    /// 16 hexadecimal digits from the system's random numbers.
    package static func make() -> String {
        let digits = String(UInt64.random(in: .min ... .max), radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
