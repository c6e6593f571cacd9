import FileTree
import Glibc
public import LXCCore

/// Undoes an archive's compression: gzip, bzip2, xz, lzma, zstd or lz4, told by content.
public enum ArchiveDecompression {
    /// Stores the contents of the archive `source` in the new file `destination`, and syncs it; a plain archive is
    /// copied. Whether the contents are a tar archive is not looked at.
    ///
    /// Blocks its thread. Progress is in bytes read from `source`.
    ///
    /// - Parameters:
    ///   - source: the archive's path.
    ///   - destination: a path where nothing is yet; nothing is there when this throws.
    ///   - maximumBytes: how large the result may be, in bytes.
    ///   - cancellation: looked at before each block.
    ///   - progress: told how far it is.
    /// - Returns: the size of the result in bytes.
    /// - Throws: `LXCError` `corrupt` when the compressed data is damaged, cut short or followed by anything but zeros;
    ///   `notFound`, `permissionDenied`, `invalidArgument` when the source is no regular file, `limitExceeded`,
    ///   `alreadyExists`, `unsupported`, `io`; `CancellationError`.
    public static func run(
        from source: String, to destination: String, maximumBytes: UInt64, cancellation: Cancellation,
        progress: ProgressHandler?
    ) throws -> UInt64 {
        let archive = try ArchiveFile(path: source)
        let output = try NewFile(destination)
        do {
            var reporter = ProgressReporter(progress)
            let position = { TransferProgress(bytes: archive.stream.bytesRead, totalBytes: archive.size) }
            var written: UInt64 = 0
            while true {
                try cancellation.check()
                let bytes = try archive.stream.next()
                if bytes.isEmpty { break }
                written += UInt64(bytes.count)
                guard written <= maximumBytes else {
                    throw LXCError(
                        .limitExceeded,
                        "the archive \"\(source.escapedForDisplay)\" has more than \(maximumBytes) bytes of contents")
                }
                try output.write(bytes)
                reporter.report(position())
            }
            try output.sync()
            reporter.finish(position())
            return written
        } catch {
            output.remove()
            throw error
        }
    }
}

/// A file this made, open for writing.
private struct NewFile: ~Copyable {
    private let descriptor: Descriptor
    private let path: String

    init(_ path: String) throws {
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW
        guard let descriptor = Descriptor(path, flags: flags, mode: 0o644) else {
            throw LXCError.lastSystemCall("openat", "create \"\(path.escapedForDisplay)\"")
        }
        self.descriptor = descriptor
        self.path = path
    }

    borrowing func write(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes
        while !rest.isEmpty {
            let count = Descriptor.retrying { Glibc.write(descriptor.raw, rest.baseAddress, rest.count) }
            guard count > 0 else { throw LXCError.lastSystemCall("write", "write \"\(path.escapedForDisplay)\"") }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    borrowing func sync() throws {
        guard fsync(descriptor.raw) == 0 else {
            throw LXCError.lastSystemCall("fsync", "sync \"\(path.escapedForDisplay)\"")
        }
    }

    borrowing func remove() { unlink(path) }
}
