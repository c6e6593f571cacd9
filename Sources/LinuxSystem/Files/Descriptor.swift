// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
package import LXCCore

/// An open file descriptor; closed with the value.
package struct Descriptor: ~Copyable, Sendable {
    /// The kernel's number, valid as long as this value lives.
    package let raw: CInt

    /// Takes ownership of an open descriptor.
    package init(adopting raw: CInt) { self.raw = raw }

    deinit { close(raw) }

    /// Opens `path` below `directory` with close-on-exec set; nil with `errno` set when that fails.
    package init?(_ path: UnsafePointer<CChar>, in directory: CInt = AT_FDCWD, flags: CInt, mode: UInt32 = 0) {
        let raw = Self.retrying { clinux_open(directory, path, flags | clinux_o_cloexec, mode) }
        guard raw >= 0 else { return nil }
        self.raw = raw
    }

    /// The same for a path given as text; nil with `errno` EINVAL if it contains a NUL, where the kernel would see only
    /// its beginning.
    package init?(_ path: String, in directory: CInt = AT_FDCWD, flags: CInt, mode: UInt32 = 0) {
        guard !path.utf8.contains(0) else {
            errno = EINVAL
            return nil
        }
        let raw = path.withCString { path in
            Self.retrying { clinux_open(directory, path, flags | clinux_o_cloexec, mode) }
        }
        guard raw >= 0 else { return nil }
        self.raw = raw
    }

    /// Hands over the number; the receiver closes it.
    package consuming func release() -> CInt {
        let raw = raw
        discard self
        return raw
    }

    /// Repeats a call that a signal interrupted.
    @inline(__always)
    package static func retrying<Result: SignedInteger>(_ call: () -> Result) -> Result {
        while true {
            let result = call()
            if result != -1 || errno != EINTR { return result }
        }
    }
}

/// The result of statx(2) for one inode.
package struct FileStatus {
    private let raw: clinux_stat

    /// The status of an open descriptor; nil with `errno` set.
    package init?(of descriptor: CInt) { self.init(of: "", in: descriptor) }

    /// The status of a name in a directory, no symbolic link followed; nil with `errno` set.
    package init?(of name: UnsafePointer<CChar>, in directory: CInt) {
        var status = clinux_stat()
        guard clinux_stat_at(directory, name, &status) == 0 else { return nil }
        raw = status
    }

    /// The inode's identity among all inodes of the host.
    package struct Identity: Hashable, BitwiseCopyable, Sendable {
        package let device: UInt64
        package let inode: UInt64
    }

    package var identity: Identity { Identity(device: raw.device, inode: raw.inode) }
    package var type: UInt32 { raw.mode & S_IFMT }
    package var mode: UInt16 { UInt16(raw.mode & 0o7777) }
    package var user: UInt32 { raw.user }
    package var group: UInt32 { raw.group }
    package var links: UInt32 { raw.links }
    package var size: UInt64 { raw.size }
    /// Whether fewer bytes are allocated than the file's size.
    package var mayHaveHoles: Bool { raw.blocks &* 512 < raw.size }
    package var deviceNumbers: (major: UInt32, minor: UInt32) { (raw.device_major, raw.device_minor) }
    /// The number of the mount it is reached through; `nil` if the kernel does not report it.
    package var mount: UInt64? { raw.mount == 0 ? nil : raw.mount }
    /// The time of the last change of any kind.
    package var changed: Timestamp {
        Timestamp(seconds: raw.changed_seconds, nanoseconds: raw.changed_nanoseconds)
    }
    package var modified: Timestamp {
        Timestamp(seconds: raw.modified_seconds, nanoseconds: raw.modified_nanoseconds)
    }

    /// Whether both are reached through the same mount. A btrfs subvolume has a device number of its own and is no
    /// mount, so the number decides only if the kernel does not report the mount.
    package func isOnSameMount(as other: FileStatus) -> Bool {
        raw.mount != 0 && other.raw.mount != 0 ? raw.mount == other.raw.mount : raw.device == other.raw.device
    }
}

/// Calls `body` with the bytes as a C string. They contain no NUL, since names and paths are checked where they enter:
/// C would see another, shorter name than the one that was checked, so a NUL that reaches this point ends the program.
@inline(__always)
package func withCString<Result: ~Copyable, Bytes: Collection<UInt8>>(
    _ bytes: Bytes, _ body: (UnsafePointer<CChar>) throws -> Result
) rethrows -> Result {
    try withUnsafeTemporaryAllocation(of: CChar.self, capacity: bytes.count + 1) { buffer in
        var index = 0
        for byte in bytes {
            precondition(byte != 0, "a name with a NUL must not reach the kernel")
            buffer[index] = CChar(bitPattern: byte)
            index += 1
        }
        buffer[index] = 0
        // A buffer of at least one element has a base address.
        return try body(UnsafePointer(buffer.baseAddress.unsafelyUnwrapped))
    }
}
