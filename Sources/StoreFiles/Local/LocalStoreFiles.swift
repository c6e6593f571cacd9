// SPDX-License-Identifier: Apache-2.0

import CLinux
import FileTree
public import FoundationEssentials
import Glibc
public import LXCCore
import LinuxSystem

/// A directory of this host as the place of a store.
///
/// The directory may be on a file system that other hosts have mounted too: locks are those of the file system (fcntl), which
/// cluster file systems and NFS carry between hosts.
public struct LocalStoreFiles: StoreFiles {
    /// The directory's absolute path.
    public let root: String
    let pool: BlockingPool
    private let lockFile: String?

    /// Creates a place from a directory; nothing is opened yet.
    ///
    /// - Parameters:
    ///   - root: the directory's absolute path.
    ///   - pool: threads for file operations.
    ///   - lockFile: the path, relative to the directory, of a file that always exists and is never replaced; all locks
    ///     are in it. Without it each lock has a file of its own. All users of the directory must agree on it.
    public init(_ root: String, pool: BlockingPool = .shared, lockFile: String? = nil) {
        self.root = root
        self.pool = pool
        self.lockFile = lockFile
    }

    /// The path.
    public var description: String { root }

    /// The absolute path of something on this host.
    package func absolute(_ path: String) -> String { path.isEmpty ? root : "\(root)/\(path)" }

    /// The size of the file system, and what of it is free for this user.
    public func capacity() async throws -> (total: ByteCount, available: ByteCount) {
        try await pool.run { [root] _ in
            let capacity = try FileSystemCapacity(of: root)
            return (capacity.total, capacity.available)
        }
    }

    /// The file system's clock: on a shared file system mostly its server's, the same for all hosts. It is read by
    /// touching the place; the host's own clock serves if that is not possible.
    public func now() async throws -> Date {
        try await pool.run { [root] _ in
            // UTIME_NOW and UTIME_OMIT, whose macros are not visible in Swift.
            let times = [timespec(tv_sec: 0, tv_nsec: (1 << 30) - 1), timespec(tv_sec: 0, tv_nsec: (1 << 30) - 2)]
            var status = stat()
            guard utimensat(AT_FDCWD, root, times, 0) == 0, stat(root, &status) == 0 else { return Date() }
            let time = status.st_ctim
            return Date(timeIntervalSince1970: Double(time.tv_sec) + Double(time.tv_nsec) / 1e9)
        }
    }

    /// Looks at the path without following a symbolic link below the directory.
    public func kind(of path: String) async throws -> StoredKind? {
        // The place itself is the operator's to name; below it no link is followed.
        let flags = path.isEmpty ? 0 : AT_SYMLINK_NOFOLLOW
        let path = absolute(path)
        return try await pool.run { _ in
            try requireNoNUL(path, "the path")
            var status = stat()
            guard fstatat(AT_FDCWD, path, &status, flags) == 0 else {
                if errno == ENOENT || errno == ENOTDIR { return nil }
                throw LXCError.lastSystemCall("fstatat", "look at \(path.escapedForDisplay)")
            }
            return switch status.st_mode & S_IFMT {
            case S_IFDIR: .directory
            case S_IFREG: .file(size: UInt64(status.st_size))
            default: .other
            }
        }
    }

    /// Reads the names in the directory.
    public func list(_ path: String) async throws -> [String] {
        let path = absolute(path)
        return try await pool.run { _ in try DurableFile.list(path) }
    }

    /// Makes a directory of mode 0755.
    public func makeDirectory(_ path: String) async throws {
        let path = absolute(path)
        try await pool.run { _ in
            try DurableFile.makeDirectory(path, mode: 0o755)
            try DurableFile.syncDirectory(of: path)
        }
    }

    /// Makes a directory of mode 0700.
    public func makePrivateDirectory(_ path: String) async throws {
        let path = absolute(path)
        try await pool.run { _ in
            try DurableFile.makePrivateDirectory(path)
            try DurableFile.syncDirectory(of: path)
        }
    }

    /// Looks at the owner and the mode of each directory.
    public func missing(ofPrivateDirectories paths: [String]) async throws -> [String] {
        try await pool.run { [self] _ in try paths.filter { try !DurableFile.isPrivateDirectory(absolute($0)) } }
    }

    /// Removes the directory unless something is in it.
    public func removeEmptyDirectory(_ path: String) async throws {
        let path = absolute(path)
        try await pool.run { _ in
            guard rmdir(path) != 0, errno != ENOENT, errno != ENOTEMPTY, errno != EEXIST else { return }
            throw LXCError.lastSystemCall("rmdir", "remove \(path.escapedForDisplay)")
        }
    }

    /// Reads the file, following no symbolic link.
    public func read(_ path: String, limit: Int) async throws -> [UInt8]? {
        let path = absolute(path)
        return try await pool.run { _ in try DurableFile.read(path, limit: limit) }
    }

    /// Writes a new file, syncs it, and renames it.
    public func write(_ bytes: [UInt8], to path: String, mode: UInt16) async throws {
        let path = absolute(path)
        try await pool.run { _ in try DurableFile.write(bytes, to: path, mode: UInt32(mode)) }
    }

    /// Renames the file and syncs its directory.
    public func replace(_ path: String, with staged: String) async throws {
        let (staged, path) = (absolute(staged), absolute(path))
        try await pool.run { _ in
            guard rename(staged, path) == 0 else { throw LXCError.lastSystemCall("rename", "write \(path)") }
            try DurableFile.syncDirectory(of: path)
        }
    }

    /// Writes a new file, syncs it, and links it to the name.
    public func create(_ bytes: [UInt8], at path: String) async throws -> Bool {
        let path = absolute(path)
        return try await pool.run { _ in
            let staged = path + "." + RandomName.make()
            try DurableFile.writeNew(bytes, to: staged, mode: 0o600)
            defer { unlink(staged) }
            // link(2) makes the whole file appear in one step, for exactly one of several callers.
            guard link(staged, path) == 0 else {
                let number = errno
                // Another was first, and may have taken the staged file for garbage since.
                var status = stat()
                if number == EEXIST || (number == ENOENT && lstat(path, &status) == 0) { return false }
                throw LXCError.systemCall("link", errno: number, "create \(path)")
            }
            try DurableFile.syncDirectory(of: path)
            return true
        }
    }

    /// Removes the file and syncs its directory.
    public func remove(_ path: String) async throws -> Bool {
        let path = absolute(path)
        return try await pool.run { _ in try DurableFile.remove(path) }
    }

    /// The device and the inode.
    public func identity(of path: String) async throws -> String? {
        let path = absolute(path)
        return try await pool.run { _ in
            try requireNoNUL(path, "the path")
            var status = stat()
            guard lstat(path, &status) == 0 else {
                if errno == ENOENT || errno == ENOTDIR { return nil }
                throw LXCError.lastSystemCall("lstat", "look at \(path.escapedForDisplay)")
            }
            return "\(status.st_dev) \(status.st_ino)"
        }
    }

    /// Syncs the file.
    public func sync(_ path: String) async throws {
        let path = absolute(path)
        try await pool.run { _ in
            guard let file = Descriptor(path, flags: O_RDONLY | O_NOFOLLOW), fsync(file.raw) == 0 else {
                throw LXCError.lastSystemCall("fsync", "sync \(path.escapedForDisplay)")
            }
        }
    }

    /// Renames without replacing, and syncs the directory of the new name.
    public func publish(_ staged: String, as path: String) async throws {
        let (staged, path) = (absolute(staged), absolute(path))
        try await pool.run { _ in try DurableFile.publish(staged, as: path) }
    }

    /// The file of that path.
    public func file(_ path: String) -> any StoredFile { LocalFile(absolute(path)) }

    /// Makes a file of mode 0644 where nothing is.
    public func newFile(_ path: String, _ cancellation: Cancellation) throws -> any NewStoredFile {
        try NewLocalFile(absolute(path))
    }

    /// The directory of that path.
    public func tree(_ path: String) -> any StoredTree { LocalTree(absolute(path)) }

    /// Takes an open-file-description lock, which the kernel never takes from a running process.
    public func hold<Value>(
        _ lock: String, _ mode: StoreLock.Mode, _ body: (StoreLock) async throws -> Value
    ) async throws -> Value {
        // The kernel never takes it from a running process.
        if let lockFile {
            return try await FileLock.hold(lock, in: absolute(lockFile), mode.ofFile, pool: pool) {
                try await body(StoreLock {})
            }
        }
        return try await FileLock.hold(absolute(lock), mode.ofFile, pool: pool) { try await body(StoreLock {}) }
    }

    /// Takes the lock unless another holder excludes it.
    public func tryHold<Value>(
        _ lock: String, _ mode: StoreLock.Mode, _ body: (StoreLock) async throws -> Value
    ) async throws -> Value? {
        if let lockFile {
            return try await FileLock.tryHold(lock, in: absolute(lockFile), mode.ofFile, pool: pool) {
                try await body(StoreLock {})
            }
        }
        return try await FileLock.tryHold(absolute(lock), mode.ofFile, pool: pool) { try await body(StoreLock {}) }
    }

    /// Whether each lock has a file of its own.
    public var locksTakeSpace: Bool { lockFile == nil }

    /// Takes the lock if it is free and releases it, which removes its file.
    public func removeLock(_ lock: String) async throws {
        // Taking a lock and letting it go is what removes its file.
        _ = try await FileLock.tryHold(absolute(lock), pool: pool) {}
    }
}

extension StoreLock.Mode {
    fileprivate var ofFile: FileLock.Mode {
        switch self {
        case .exclusive: .exclusive
        case .shared: .shared
        }
    }
}
