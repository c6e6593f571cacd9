import CLinux
package import FileTree
import Glibc
import LXCCore
import LinuxSystem

/// A file that can be read from: on this host, or on a server. A value; nothing is opened yet.
package protocol StoredFile: Sendable, CustomStringConvertible {
    /// Opens it, on a thread that may block.
    ///
    /// - Throws: `LXCError` `notFound`, `permissionDenied`, `invalidArgument` when it is no regular file.
    func open() throws -> any OpenStoredFile
}

/// A file being read. Used by one thread, which it may block.
package protocol OpenStoredFile: AnyObject {
    /// How many bytes it had when it was opened.
    var size: UInt64 { get }
    /// Tells this file, in the state in which it was opened, from others of the place it is in.
    var identity: String { get }
    /// Reads bytes from `offset` on; fewer than the buffer holds, none at the end.
    ///
    /// - Throws: `LXCError` `io`, `unavailable`.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws -> Int
}

/// A file being made, from its beginning to its end. Used by one thread, which it may block.
package protocol NewStoredFile: AnyObject {
    /// Adds bytes at the end.
    ///
    /// - Throws: `LXCError` `io`, `unavailable`, of these bytes or of some before.
    func write(_ bytes: SharedBytes) throws
    /// Makes all of it durable.
    func finish() throws
    /// Removes it. Called instead of ``finish()``, or after it failed.
    func abandon()
}

/// A file under another name in messages: a copy of what a user named is called as the user called it.
package struct NamedFile: StoredFile {
    private let file: any StoredFile
    package let description: String

    /// Takes the file and its name.
    package init(_ file: any StoredFile, called name: String) {
        self.file = file
        description = name
    }

    package func open() throws -> any OpenStoredFile { try file.open() }
}

/// A file of this host.
package struct LocalFile: StoredFile {
    private let path: String

    /// Takes a path.
    package init(_ path: String) { self.path = path }

    package var description: String { path }

    package func open() throws -> any OpenStoredFile {
        let shown = "\"\(path.escapedForDisplay)\""
        guard let file = Descriptor(path, flags: O_RDONLY | O_NONBLOCK) else {
            throw LXCError.lastSystemCall("openat", "open the archive \(shown)")
        }
        var status = stat()
        guard fstat(file.raw, &status) == 0 else { throw LXCError.lastSystemCall("fstat", "look at \(shown)") }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw LXCError(.invalidArgument, "the archive \(shown) is not a regular file")
        }
        return Open(file, status, shown: shown)
    }

    private final class Open: OpenStoredFile {
        private let file: Descriptor
        private let shown: String
        let size: UInt64
        let identity: String

        init(_ file: consuming Descriptor, _ status: stat, shown: String) {
            self.file = file
            self.shown = shown
            size = UInt64(status.st_size)
            // Not the device, which is another on each host that has the file system mounted.
            identity = "\(status.st_ino) \(status.st_size) \(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec)"
        }

        func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws -> Int {
            let count = Descriptor.retrying { pread(file.raw, buffer.baseAddress, buffer.count, off_t(offset)) }
            guard count >= 0 else { throw LXCError.lastSystemCall("pread", "read the archive \(shown)") }
            return count
        }
    }
}

/// A file of this host being made.
package final class NewLocalFile: NewStoredFile {
    private let path: String
    private let descriptor: Descriptor

    /// Makes it where nothing is.
    package init(_ path: String) throws {
        self.path = path
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW
        guard let descriptor = Descriptor(path, flags: flags, mode: 0o644) else {
            throw LXCError.lastSystemCall("openat", "create \"\(path.escapedForDisplay)\"")
        }
        self.descriptor = descriptor
    }

    package func write(_ bytes: SharedBytes) throws {
        try bytes.withUnsafeBytes { buffer in
            var rest = buffer
            while !rest.isEmpty {
                let count = Descriptor.retrying { Glibc.write(descriptor.raw, rest.baseAddress, rest.count) }
                guard count > 0 else { throw LXCError.lastSystemCall("write", "write \"\(path.escapedForDisplay)\"") }
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            }
        }
    }

    package func finish() throws {
        guard fsync(descriptor.raw) == 0 else {
            throw LXCError.lastSystemCall("fsync", "sync \"\(path.escapedForDisplay)\"")
        }
    }

    package func abandon() { unlink(path) }
}
