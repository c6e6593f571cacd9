// SPDX-License-Identifier: Apache-2.0

import Glibc
import LXCCore
import LinuxSystem

/// The last bytes of an endless stream, in two files: `PATH`, and `PATH.1`, the previous `PATH`. Neither is longer than
/// half of their combined limit.
///
/// Synchronous: call it on a ``BlockingPool``. Allows one writer; a reader sees whole chunks or their beginnings.
struct BoundedLog: Sendable {
    /// The smallest combined limit of both files: no single write is longer than half of it.
    static let leastLimit = ByteCount(8192)

    let path: String

    private var older: String { "\(path).1" }

    /// Appends bytes, starting a new file if the current one would become too long.
    func append(_ bytes: ArraySlice<UInt8>, limit: ByteCount) throws {
        try requireNoNUL(path, "the path")
        let half = Int(limit.bytes / 2)
        var rest = bytes
        while !rest.isEmpty {
            let chunk = rest.prefix(half)
            rest = rest.dropFirst(half)
            if try write(chunk, unlessLongerThan: half) { continue }
            guard rename(path, older) == 0 else { throw LXCError.lastSystemCall("rename", "rotate \(path)") }
            _ = try write(chunk, unlessLongerThan: .max)
        }
    }

    private func write(_ bytes: ArraySlice<UInt8>, unlessLongerThan limit: Int) throws -> Bool {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw LXCError.lastSystemCall("open", "write \(path)") }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw LXCError.lastSystemCall("fstat", "write \(path)") }
        guard Int(status.st_size) <= limit - bytes.count else { return false }
        var rest = bytes
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            guard count >= 0 || errno == EINTR else { throw LXCError.lastSystemCall("write", "write \(path)") }
            rest = rest.dropFirst(max(count, 0))
        }
        return true
    }

    /// Reads the last bytes written after a position, or of the whole log; `nil` if there is no log.
    func read(after position: LXCHypervisor.ConsoleLogPosition?, last limit: Int) throws -> LXCHypervisor
        .ConsoleLogPart?
    {
        // The newer first: a file rotated in between is then seen twice and recognized by its inode.
        let newer = try OpenPart(path)
        let older = try OpenPart(older)
        let parts = [older?.inode == newer?.inode ? nil : older, newer].compactMap(\.self)
        guard let newest = parts.last else { return nil }
        var unread = parts.map { ($0, 0..<$0.size) }
        if let position, let index = parts.firstIndex(where: { $0.inode == position.inode }) {
            unread = Array(unread[index...])
            // A file shorter than what was read of it is a different one that reuses the inode number of a removed
            // file.
            if position.offset <= parts[index].size { unread[0].1 = position.offset..<parts[index].size }
        }
        var excess = max(0, unread.reduce(0) { $0 + $1.1.count } - limit)
        var bytes: [UInt8] = []
        for (part, range) in unread {
            let skipped = min(excess, range.count)
            excess -= skipped
            bytes += try part.read(range.dropFirst(skipped))
        }
        return LXCHypervisor.ConsoleLogPart(bytes: bytes, position: .init(inode: newest.inode, offset: newest.size))
    }

    /// Removes the log.
    func remove() {
        unlink(path)
        unlink(older)
    }
}

/// One of the two files, open for reading.
private final class OpenPart {
    let inode: UInt64
    let size: Int
    private let path: String
    private let descriptor: CInt

    /// Opens a file; `nil` if it does not exist.
    init?(_ path: String) throws {
        descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw LXCError.lastSystemCall("open", "read \(path)")
        }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            let error = LXCError.lastSystemCall("fstat", "read \(path)")
            close(descriptor)
            throw error
        }
        self.path = path
        inode = UInt64(status.st_ino)
        size = Int(status.st_size)
    }

    deinit { close(descriptor) }

    func read(_ range: Range<Int>) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: range.count)
        var filled = 0
        while filled < bytes.count {
            let count = bytes.withUnsafeMutableBytes { buffer in
                pread(
                    descriptor, buffer.baseAddress?.advanced(by: filled), buffer.count - filled,
                    off_t(range.lowerBound + filled))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw LXCError.lastSystemCall("pread", "read \(path)") }
            filled += count
        }
        return bytes
    }
}
