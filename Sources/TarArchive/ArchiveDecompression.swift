import FileTree
import Glibc
public import LXCCore

/// Stores a compressed archive as a plain one.
public enum ArchiveDecompression {
    /// Decompresses the archive at `path` and writes it to a descriptor, from where that stands. Blocks the thread.
    ///
    /// The archive is plain, gzip, bzip2, xz, zstd or lz4, told by its content; at most `maximumBytes` may come out.
    /// The descriptor stays open.
    ///
    /// - Returns: how many bytes were written, and how the archive was compressed.
    /// - Throws: ``LXCError`` `corrupt` when the compressed data is damaged, cut short or followed by anything but
    ///   zeros; `limitExceeded`; `notFound`; `io`. `CancellationError`. What was written by then remains.
    public static func run(
        from path: String, to descriptor: CInt, maximumBytes: UInt64 = .max,
        cancellation: Cancellation = Cancellation(), progress: ProgressHandler? = nil
    ) throws -> (bytes: UInt64, format: CompressionFormat) {
        let archive = try ArchiveFile(path: path)
        var reporter = ProgressReporter(progress)
        var written: UInt64 = 0
        let position = { TransferProgress(bytes: archive.stream.bytesRead, totalBytes: archive.size) }
        while true {
            try cancellation.check()
            let bytes = try archive.stream.next()
            if bytes.isEmpty { break }
            guard UInt64(bytes.count) <= maximumBytes - written else {
                throw LXCError(
                    .limitExceeded,
                    "the archive \"\(path.escapedForDisplay)\" is larger than \(maximumBytes) bytes when decompressed")
            }
            try write(bytes, to: descriptor)
            written += UInt64(bytes.count)
            reporter.report(position())
        }
        reporter.finish(position())
        return (written, archive.format)
    }

    private static func write(_ bytes: UnsafeRawBufferPointer, to descriptor: CInt) throws {
        var rest = bytes
        while !rest.isEmpty {
            let count = Descriptor.retrying { Glibc.write(descriptor, rest.baseAddress, rest.count) }
            guard count > 0 else { throw LXCError.lastSystemCall("write", "write the decompressed archive") }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }
}
