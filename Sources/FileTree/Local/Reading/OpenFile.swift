// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import LXCCore
import LinuxSystem

/// A regular file that is being read, hole by hole.
final class OpenFile {
    /// More data ranges are not kept; what follows the last of them is then treated as data.
    private static let maximumExtents = 1 << 20

    let descriptor: Descriptor
    private let path: TreePath
    private let status: FileStatus
    private let size: UInt64
    /// The descriptor to read: the file itself, or a clone of it.
    private var source: CInt
    private var mayHaveHoles: Bool
    private var extent: Range<UInt64> = 0..<0
    /// The result of ``findExtents()``, and the index of the next extent.
    private var known: [Range<UInt64>]?
    private var nextKnown = 0

    /// Creates an open file limited to its present size, whatever is appended later.
    init(_ descriptor: consuming Descriptor, path: TreePath, status: FileStatus) {
        source = descriptor.raw
        self.descriptor = descriptor
        self.path = path
        self.status = status
        size = status.size
        mayHaveHoles = status.mayHaveHoles
    }

    /// Whether every change of the file since it was opened shows in its status. The kernel's clock of file times stands
    /// still for some milliseconds: a change right after another one leaves no trace.
    var showsChanges: Bool {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let age = (Int64(now.tv_sec) - status.changed.seconds) &* 1_000 &+ Int64(now.tv_nsec) / 1_000_000
        return age &- Int64(status.changed.nanoseconds) / 1_000_000 > 100
    }

    /// Whether the file's status is unchanged since it was opened.
    var isUnchanged: Bool { FileStatus(of: descriptor.raw)?.changed == status.changed }

    /// Switches to reading a clone of the file, from its beginning.
    func readClone(_ clone: CInt) {
        source = clone
        mayHaveHoles = true
        known = nil
        rewind()
    }

    /// All data ranges if the file may have holes, otherwise nil. From then on the file is read by these ranges,
    /// whatever changes in the meantime.
    func findExtents() throws -> [Range<UInt64>]? {
        guard mayHaveHoles else { return nil }
        var extents: [Range<UInt64>] = []
        while let extent = try nextExtent() {
            guard extents.count < Self.maximumExtents - 1 else {
                extents.append(extent.lowerBound..<size)
                break
            }
            extents.append(extent)
        }
        known = extents
        rewind()
        return extents == [0..<size] ? nil : extents
    }

    /// The next data range; `nil` after the last.
    func nextExtent() throws -> Range<UInt64>? {
        if let known {
            guard nextKnown < known.count else { return nil }
            extent = known[nextKnown]
            nextKnown += 1
            return extent
        }
        let from = extent.upperBound
        guard from < size else { return nil }
        extent = try mayHaveHoles ? findData(from: from) : from..<size
        return extent.isEmpty ? nil : extent
    }

    /// Starts again at the first byte.
    func rewind() {
        extent = 0..<0
        nextKnown = 0
    }

    /// Reads the next piece; nil after the last.
    func nextPiece(_ maker: SharedBytes.Maker) throws -> TreePiece? {
        guard try findUnread() else { return nil }
        let offset = extent.lowerBound
        let bytes = try maker.make(upTo: Int(clamping: extent.count)) { try read(into: $0) }
        return TreePiece(offset: offset, bytes: bytes)
    }

    /// Reads the next piece into memory the caller owns; nil after the last.
    func nextPiece(into buffer: UnsafeMutableRawBufferPointer) throws -> (UInt64, UnsafeRawBufferPointer)? {
        guard try findUnread() else { return nil }
        let offset = extent.lowerBound
        let count = try read(into: UnsafeMutableRawBufferPointer(rebasing: buffer.prefix(Int(clamping: extent.count))))
        return (offset, UnsafeRawBufferPointer(rebasing: buffer[..<count]))
    }

    /// The error for a file that ends before the size it had.
    func shrank() -> LXCError {
        LXCError(.io, "the file \"\(path)\" became shorter while it was read; stop what writes to it and try again")
    }

    /// Sets `extent` to the next unread range; false after the last.
    private func findUnread() throws -> Bool {
        if extent.isEmpty { return try nextExtent() != nil }
        return true
    }

    /// Reads the next part of `extent`, and removes it from there.
    private func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let offset = off_t(extent.lowerBound)
        let count = Descriptor.retrying { pread(source, buffer.baseAddress, buffer.count, offset) }
        guard count >= 0 else { throw LXCError.lastSystemCall("pread", "read \"\(path)\"") }
        guard count > 0 else { throw shrank() }
        extent = (extent.lowerBound + UInt64(count))..<extent.upperBound
        return count
    }

    private func findData(from: UInt64) throws -> Range<UInt64> {
        let start = clinux_seek_data(source, off_t(from))
        if start < 0 {
            // ENXIO: only a hole is left up to the end.
            guard errno != ENXIO else { return size..<size }
            guard errno == EINVAL else { throw LXCError.lastSystemCall("lseek", "find the data of \"\(path)\"") }
            return from..<size
        }
        let end = clinux_seek_hole(source, start)
        guard end > start else { throw shrank() }
        return min(UInt64(start), size)..<min(UInt64(end), size)
    }
}
