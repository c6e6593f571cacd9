import FileTree
import Glibc
import LXCCore

/// The bytes of a tar archive, decompressed, in sequence. Used by one thread, which it may block.
protocol ByteStream: AnyObject {
    /// The next bytes, valid until the next call; empty after the last. Everything the format offers to tell damage
    /// by was checked when this returns empty.
    ///
    /// - Throws: `LXCError` `corrupt`, `io`, `limitExceeded`.
    func next() throws -> UnsafeRawBufferPointer
    /// How many bytes of the file were read.
    var bytesRead: UInt64 { get }
}

/// An archive file that is open: its size and the stream of what is in it.
struct ArchiveFile {
    let size: UInt64
    let stream: any ByteStream

    /// Opens the file at `path` and finds out how it is compressed.
    init(path: String) throws {
        let shown = "\"\(path.escapedForDisplay)\""
        guard let file = Descriptor(path, flags: O_RDONLY | O_NONBLOCK) else {
            throw LXCError.lastSystemCall("openat", "open the archive \(shown)")
        }
        var status = stat()
        guard fstat(file.raw, &status) == 0 else { throw LXCError.lastSystemCall("fstat", "look at \(shown)") }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw LXCError(.invalidArgument, "the archive \(shown) is not a regular file")
        }
        size = UInt64(status.st_size)
        let start = try Self.start(of: file.raw, shown)
        let format = CompressionFormat(sniffing: start)
        try DecoderWindow.check(start, format, shown)
        switch format {
        case .none: stream = FileStream(file, shown)
        case .gzip: stream = try GzipStream(FileStream(file, shown), shown)
        default: stream = try LibArchiveStream(file, size: size, format, shown)
        }
    }

    private static func start(of file: CInt, _ shown: String) throws -> ArraySlice<UInt8> {
        var start = [UInt8](repeating: 0, count: max(CompressionFormat.sniffedBytes, DecoderWindow.inspectedBytes))
        let count = Descriptor.retrying { pread(file, &start, start.count, 0) }
        guard count >= 0 else { throw LXCError.lastSystemCall("pread", "read \(shown)") }
        return start[..<count]
    }
}

/// A file's bytes as they are.
final class FileStream: ByteStream {
    private let file: Descriptor
    private let shown: String
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    private(set) var bytesRead: UInt64 = 0

    /// Takes an open file and how messages call it.
    init(_ file: consuming Descriptor, _ shown: String) {
        self.file = file
        self.shown = shown
    }

    deinit { buffer.deallocate() }

    func next() throws -> UnsafeRawBufferPointer {
        let count = Descriptor.retrying { pread(file.raw, buffer.baseAddress, buffer.count, off_t(bytesRead)) }
        guard count >= 0 else { throw LXCError.lastSystemCall("pread", "read the archive \(shown)") }
        bytesRead += UInt64(count)
        return UnsafeRawBufferPointer(rebasing: buffer[..<count])
    }
}
