import Glibc
public import LXCCore

/// Undoes an archive's compression, gzip, bzip2, xz, zstd or lz4, recognised by content.
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
    /// - Throws: ``LXCError`` `notFound`, `permissionDenied`, `corrupt`, `limitExceeded`, `alreadyExists`, `io`;
    ///   `CancellationError`.
    public static func run(
        from source: String, to destination: String, maximumBytes: UInt64, cancellation: Cancellation,
        progress: ProgressHandler?
    ) throws -> UInt64 {
        let file = try FileStream(source)
        let stream = try file.decompressed()
        let output = try NewFile(destination)
        do {
            var reporter = ProgressReporter(progress)
            var total: UInt64 = 0
            while true {
                try cancellation.check()
                let block = try stream.next()
                if block.isEmpty { break }
                total += UInt64(block.count)
                guard total <= maximumBytes else {
                    throw LXCError(
                        .limitExceeded, "the archive \(file.name) has more than \(maximumBytes) bytes of contents")
                }
                try output.write(block)
                reporter.report(TransferProgress(bytes: file.position, totalBytes: file.size))
            }
            try output.sync()
            reporter.finish(TransferProgress(bytes: file.position, totalBytes: file.size))
            return total
        } catch {
            output.remove()
            throw error
        }
    }
}

/// Owns the descriptor of a file it has made.
private struct NewFile: ~Copyable {
    private let descriptor: CInt
    private let path: String

    init(_ path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw LXCError.lastSystemCall("open", "create \(path.escapedForDisplay)") }
        self.descriptor = descriptor
        self.path = path
    }

    deinit { close(descriptor) }

    borrowing func write(_ block: UnsafeRawBufferPointer) throws {
        var rest = block[...]
        while !rest.isEmpty {
            let piece = UnsafeRawBufferPointer(rebasing: rest)
            let count = Glibc.write(descriptor, piece.baseAddress, piece.count)
            guard count >= 0 || errno == EINTR else {
                throw LXCError.lastSystemCall("write", "write \(path.escapedForDisplay)")
            }
            rest = rest.dropFirst(max(count, 0))
        }
    }

    borrowing func sync() throws {
        guard fsync(descriptor) == 0 else { throw LXCError.lastSystemCall("fsync", "sync \(path.escapedForDisplay)") }
    }

    borrowing func remove() { unlink(path) }
}
