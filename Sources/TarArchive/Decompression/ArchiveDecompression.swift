// SPDX-License-Identifier: Apache-2.0

package import FileTree
public import LXCCore
package import StoreFiles

/// Decompresses an archive: gzip, bzip2, xz, lzma, lzip, zstd, lz4, compress (`.Z`), or a zip file around one file,
/// recognized by content.
public enum ArchiveDecompression {
    /// The size from which the expansion ratio applies, in bytes.
    private static let expansionFloor: UInt64 = 64 << 20

    /// Stores the contents of the archive `source` in the new file `destination`, and syncs it; a plain archive is
    /// copied. The beginning of the contents is inspected: anything but a tar archive or a qcow2 image is refused.
    ///
    /// Blocks its thread. Progress is in bytes read from `source`.
    ///
    /// - Parameters:
    ///   - source: the archive's path.
    ///   - destination: a path where nothing is yet; nothing is there when this throws.
    ///   - maximumBytes: the maximum size of the result in bytes.
    ///   - expansionRatio: the maximum number of bytes of the result for each byte read, once there are 64 MiB.
    ///   - cancellation: checked before each block.
    ///   - progress: called with the progress.
    ///   - observe: borrows each block before it is written.
    /// - Returns: the size of the result in bytes.
    /// - Throws: `LXCError` `corrupt` when the compressed data is damaged, cut short, followed by anything but zeros, or no
    ///   archive; `unsupported` when it is of another format, or compressed again; `notFound`, `permissionDenied`, `invalidArgument` when the source is not a regular file,
    ///   `unsafe`, `limitExceeded`, `alreadyExists`, `unsupported`, `io`; `CancellationError`.
    public static func run(
        from source: String, to destination: String, maximumBytes: UInt64, expansionRatio: UInt64 = .max,
        cancellation: Cancellation, progress: ProgressHandler?, observe: (UnsafeRawBufferPointer) -> Void = { _ in }
    ) throws -> UInt64 {
        try run(
            from: LocalFile(source), to: NewLocalFile(destination), maximumBytes: maximumBytes,
            expansionRatio: expansionRatio, cancellation: cancellation, progress: progress, observe: observe)
    }

    /// The same for files in any place.
    package static func run(
        from source: any StoredFile, to output: any NewStoredFile, maximumBytes: UInt64, expansionRatio: UInt64 = .max,
        cancellation: Cancellation, progress: ProgressHandler?, observe: (UnsafeRawBufferPointer) -> Void
    ) throws -> UInt64 {
        do {
            let size = try run(
                from: source, maximumBytes: maximumBytes, expansionRatio: expansionRatio, cancellation: cancellation,
                progress: progress
            ) { block in
                block.withUnsafeBytes(observe)
                try output.write(block)
            }
            try output.finish()
            return size
        } catch {
            output.abandon()
            throw error
        }
    }

    /// Passes the contents of the archive `source` to `take`, block by block.
    ///
    /// - Returns: the size of the contents in bytes.
    /// - Throws: the errors of the other method, and those of `take`.
    package static func run(
        from source: any StoredFile, maximumBytes: UInt64, expansionRatio: UInt64 = .max, cancellation: Cancellation,
        progress: ProgressHandler?, take: (SharedBytes) throws -> Void
    ) throws -> UInt64 {
        let archive = try ArchiveFile(source)
        var reporter = ProgressReporter(progress)
        let position = {
            TransferProgress(
                transferred: ByteCount(archive.stream.bytesRead), total: ByteCount(archive.size))
        }
        let shown = "\"\(source.description.escapedForDisplay)\""
        var written: UInt64 = 0
        while true {
            try cancellation.check()
            let bytes = try archive.stream.next()
            if bytes.isEmpty { break }
            written += UInt64(bytes.count)
            guard written <= maximumBytes else {
                throw LXCError(
                    .limitExceeded, "the archive \(shown) has more than \(maximumBytes) bytes of contents")
            }
            guard written <= expansionFloor || written / max(archive.stream.bytesRead, 1) <= expansionRatio else {
                throw LXCError(
                    .limitExceeded, "the archive \(shown) expands to more than \(expansionRatio) times its size")
            }
            try take(bytes)
            reporter.report(position())
        }
        reporter.finish(position())
        return written
    }
}
