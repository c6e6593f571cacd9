// SPDX-License-Identifier: Apache-2.0

import Glibc
import LXCCore
import LinuxSystem

/// A file copied into or out of a container.
struct HostFile: ~Copyable {
    private static let chunkSize = 1 << 20
    /// The lseek(2) modes that find data and holes, which the C library declares only on request.
    private static let (seekData, seekHole): (CInt, CInt) = (3, 4)

    private let descriptor: Descriptor
    private let shown: String
    /// The file's permissions.
    let mode: UInt16

    /// Creates a host file from an open descriptor.
    init(_ descriptor: consuming Descriptor, shown: String) {
        self.descriptor = descriptor
        self.shown = shown.escapedForDisplay
        mode = 0o600
    }

    /// Opens a file on the host.
    ///
    /// - Throws: `LXCError` `notFound`; `invalidArgument` if it is not a regular file.
    init(reading path: String) throws {
        let shown = path.escapedForDisplay
        guard let descriptor = Descriptor(path, flags: O_RDONLY | O_NONBLOCK) else {
            throw LXCError.lastSystemCall("open", "read \(shown)")
        }
        var status = stat()
        guard fstat(descriptor.raw, &status) == 0 else { throw LXCError.lastSystemCall("fstat", "look at \(shown)") }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw LXCError(.invalidArgument, "\(shown) is no regular file")
        }
        self.descriptor = descriptor
        self.shown = shown
        mode = UInt16(status.st_mode & 0o777)
    }

    /// Copies the whole file to an open, empty file. Holes are preserved.
    func copy(to destination: CInt, _ cancellation: Cancellation) throws {
        var buffer = [UInt8](repeating: 0, count: Self.chunkSize)
        var position: off_t = 0
        while let data = nextData(from: position) {
            guard lseek(descriptor.raw, data.lowerBound, SEEK_SET) >= 0,
                lseek(destination, data.lowerBound, SEEK_SET) >= 0
            else { throw LXCError.lastSystemCall("lseek", "copy \(shown)") }
            position = data.lowerBound
            while position < data.upperBound {
                try cancellation.check()
                let most = Int(min(off_t(buffer.count), data.upperBound - position))
                let count = Descriptor.retrying { read(descriptor.raw, &buffer, most) }
                guard count >= 0 else { throw LXCError.lastSystemCall("read", "read \(shown)") }
                if count == 0 { break }
                guard buffer[..<count].withUnsafeBytes({ Descriptor.writeAll($0, to: destination) }) else {
                    throw LXCError.lastSystemCall("write", "copy \(shown)")
                }
                position += off_t(count)
            }
            if position < data.upperBound { break }
        }
        try setLength(of: destination, to: position)
    }

    /// The next range of data after a position; `nil` if none follows. The whole file if its file system does not
    /// report holes.
    private func nextData(from position: off_t) -> Range<off_t>? {
        let start = lseek(descriptor.raw, position, Self.seekData)
        guard start >= 0 else { return errno == ENXIO || position > 0 ? nil : 0 ..< .max }
        let end = lseek(descriptor.raw, start, Self.seekHole)
        return start..<(end > start ? end : .max)
    }

    /// Extends a file that ends in a hole to its full length.
    private func setLength(of destination: CInt, to written: off_t) throws {
        var status = stat()
        guard fstat(descriptor.raw, &status) == 0 else { throw LXCError.lastSystemCall("fstat", "look at \(shown)") }
        guard status.st_size > written else { return }
        let end = lseek(descriptor.raw, written, Self.seekData)
        // It was truncated while it was read, or is a file of /proc, whose lengths are meaningless.
        guard end < 0, errno == ENXIO else { return }
        guard ftruncate(destination, status.st_size) == 0 else {
            throw LXCError.lastSystemCall("ftruncate", "copy \(shown)")
        }
    }

    /// Creates a new file and has `fill` write it; removes it again if that fails.
    ///
    /// - Throws: `LXCError` `alreadyExists`, `notFound` if the directory does not exist; errors thrown by `fill`.
    static func create(_ path: String, _ fill: (CInt) throws -> Void) throws {
        guard let file = Descriptor(path, flags: O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600) else {
            throw LXCError.lastSystemCall("open", "create \(path.escapedForDisplay)")
        }
        do {
            try fill(file.raw)
            guard fsync(file.raw) == 0 else {
                throw LXCError.lastSystemCall("fsync", "write \(path.escapedForDisplay)")
            }
        } catch {
            unlink(path)
            throw error
        }
    }
}
