import CLinux
import Glibc
import LXCCore

/// A regular file that is being read, hole by hole.
final class OpenFile {
    let descriptor: Descriptor
    private let path: TreePath
    private let size: UInt64
    private let mayHaveHoles: Bool
    private var extent: Range<UInt64> = 0..<0

    /// Takes a file of which `size` bytes are read, whatever is added to it meanwhile.
    init(_ descriptor: consuming Descriptor, path: TreePath, size: UInt64, mayHaveHoles: Bool) {
        self.descriptor = descriptor
        self.path = path
        self.size = size
        self.mayHaveHoles = mayHaveHoles
    }

    /// The next stretch that is no hole; nil after the last.
    func nextExtent() throws -> Range<UInt64>? {
        let from = extent.upperBound
        guard from < size else { return nil }
        extent = try mayHaveHoles ? findData(from: from) : from..<size
        return extent.isEmpty ? nil : extent
    }

    /// Starts again at the first byte.
    func rewind() { extent = 0..<0 }

    /// Reads the next piece into `buffer` and hands it to `body`; false after the last.
    func readPiece(
        into buffer: UnsafeMutableRawBufferPointer, _ body: (UInt64, UnsafeRawBufferPointer) throws -> Void
    ) throws -> Bool {
        if extent.isEmpty {
            guard try nextExtent() != nil else { return false }
        }
        let offset = extent.lowerBound
        let wanted = Int(min(UInt64(buffer.count), UInt64(extent.count)))
        let count = Descriptor.retrying { pread(descriptor.raw, buffer.baseAddress, wanted, off_t(offset)) }
        guard count >= 0 else { throw LXCError.lastSystemCall("pread", "read \"\(path)\"") }
        guard count > 0 else { throw shrank() }
        extent = (offset + UInt64(count))..<extent.upperBound
        try body(offset, UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        return true
    }

    private func findData(from: UInt64) throws -> Range<UInt64> {
        let start = clinux_seek_data(descriptor.raw, off_t(from))
        if start < 0 {
            // ENXIO: there is nothing but a hole up to the end.
            guard errno != ENXIO else { return size..<size }
            guard errno == EINVAL else { throw LXCError.lastSystemCall("lseek", "find the data of \"\(path)\"") }
            return from..<size
        }
        let end = clinux_seek_hole(descriptor.raw, start)
        guard end > start else { throw shrank() }
        return min(UInt64(start), size)..<min(UInt64(end), size)
    }

    private func shrank() -> LXCError {
        LXCError(.io, "the file \"\(path)\" became shorter while it was read; stop what writes to it and try again")
    }
}
