// SPDX-License-Identifier: Apache-2.0

import FileTree
import Glibc
import LXCCore
import LinuxSystem

/// A new file that bytes are added to, one after the other. Used by one thread at a time.
final class ArchiveFileOutput: Sendable {
    private let descriptor: Descriptor
    private let shown: String

    /// Makes a file only its owner can read, since a packed root holds keys and password hashes; messages call it
    /// `shown`. A symbolic link in its place is not followed.
    init(_ name: String, in directory: CInt, shown: String) throws {
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW
        guard let descriptor = Descriptor(name, in: directory, flags: flags, mode: 0o600) else {
            throw LXCError.lastSystemCall("openat", "create a file beside \(shown)")
        }
        self.descriptor = descriptor
        self.shown = shown
    }

    /// Writes all of the bytes.
    func write(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes
        while !rest.isEmpty {
            let count = Descriptor.retrying { Glibc.write(descriptor.raw, rest.baseAddress, rest.count) }
            guard count > 0 else { throw failure("write", "write") }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    /// If asked, its contents are then on disk.
    func finish(durable: Bool) throws {
        guard !durable || fsync(descriptor.raw) == 0 else { throw failure("fsync", "sync") }
    }

    private func failure(_ call: String, _ doing: String) -> LXCError {
        LXCError.lastSystemCall(call, "\(doing) the archive \(shown)")
    }
}
