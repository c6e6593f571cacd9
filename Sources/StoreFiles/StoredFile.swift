// SPDX-License-Identifier: Apache-2.0

import CLinux
public import FileTree
import Glibc
import LXCCore
import LinuxSystem

/// A file that can be read: on this host, or on a server. A value; nothing is opened yet. Its description is what messages call
/// it.
public protocol StoredFile: Sendable, CustomStringConvertible {
    /// Opens the file. Blocks; called on a thread that may.
    ///
    /// - Throws: `LXCError` `notFound`, `permissionDenied`, `invalidArgument` when it is not a regular file.
    func open() throws -> any OpenStoredFile
}

/// A file being read. Used by one thread at a time, which it may block.
public protocol OpenStoredFile: AnyObject {
    /// The size of the file when it was opened, in bytes.
    var size: UInt64 { get }
    /// A text that distinguishes the file, in the state in which it was opened, from other files and other states, on
    /// every host that reads it.
    var identity: String { get }
    /// Reads bytes from `offset` on into the buffer.
    ///
    /// - Returns: the number of bytes read, which may be fewer than the buffer holds; 0 at the end of the file.
    ///
    /// - Throws: `LXCError` `io`, `unavailable`.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws -> Int
}

/// A file being made, from its beginning to its end. Used by one thread at a time, which it may block.
public protocol NewStoredFile: AnyObject {
    /// Adds bytes at the end.
    ///
    /// - Throws: `LXCError` `io`, `unavailable`: the failure of these bytes, or of earlier ones still under way.
    func write(_ bytes: SharedBytes) throws
    /// Waits until everything is written, and makes it durable.
    ///
    /// - Throws: `LXCError` `io`, `unavailable`.
    func finish() throws
    /// Removes the file. Called instead of ``finish()``, or after it failed.
    func abandon()
}

/// A file under another name in messages: the copy of a file is named as the user named the original.
package struct NamedFile: StoredFile {
    private let file: any StoredFile
    package let description: String

    /// Creates a file that messages call `name`.
    package init(_ file: any StoredFile, called name: String) {
        self.file = file
        description = name
    }

    package func open() throws -> any OpenStoredFile { try file.open() }
}

/// A file of this host.
package struct LocalFile: StoredFile {
    private let path: String

    /// Creates a file from its path; nothing is opened yet.
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
