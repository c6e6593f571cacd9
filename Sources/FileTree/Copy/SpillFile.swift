// SPDX-License-Identifier: Apache-2.0

import Glibc
import LXCCore
import LinuxSystem

/// A temporary file without a name, for data too large for memory. It disappears with the value, or with the program,
/// even if that is killed.
///
/// It is in the directory `TMPDIR` names, else in `/var/tmp`: `/tmp` is memory itself on many hosts.
final class SpillFile: @unchecked Sendable {
    // @unchecked: its owner is used by one thread at a time.
    private let descriptor: Descriptor
    private let directory: String
    /// The size in bytes.
    private(set) var size: UInt64 = 0

    /// Makes the file.
    ///
    /// - Throws: `LXCError` `io` and others.
    init() throws {
        directory = getenv("TMPDIR").map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 } ?? "/var/tmp"
        let name = "\(directory)/lxc-tree.\(RandomName.make())"
        guard let file = Descriptor(name, flags: O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600) else {
            throw Self.failure("openat", directory)
        }
        unlink(name)
        descriptor = file
    }

    /// Adds bytes and returns where they are.
    @discardableResult
    func append(_ bytes: UnsafeRawBufferPointer) throws -> UInt64 {
        let start = size
        try write(bytes, at: start)
        size += UInt64(bytes.count)
        return start
    }

    /// Replaces bytes that are there, or adds some at the end.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws {
        var rest = bytes
        var offset = offset
        while !rest.isEmpty {
            let count = Descriptor.retrying { pwrite(descriptor.raw, rest.baseAddress, rest.count, off_t(offset)) }
            guard count > 0 else { throw Self.failure("pwrite", directory) }
            offset += UInt64(count)
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    /// Fills the buffer as far as the file reaches; returns the number of bytes read.
    func read(into room: UnsafeMutableRawBufferPointer, at offset: UInt64) throws -> Int {
        var done = 0
        while done < room.count {
            let left = UnsafeMutableRawBufferPointer(rebasing: room[done...])
            let count = Descriptor.retrying {
                pread(descriptor.raw, left.baseAddress, left.count, off_t(offset) + off_t(done))
            }
            guard count >= 0 else { throw Self.failure("pread", directory) }
            if count == 0 { break }
            done += count
        }
        return done
    }

    private static func failure(_ call: String, _ directory: String) -> LXCError {
        LXCError.lastSystemCall(
            call,
            "store temporary data in \(directory.escapedForDisplay) (TMPDIR can name a directory with more space)"
        )
    }
}
