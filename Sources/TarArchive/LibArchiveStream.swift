import CLibArchive
import FileTree
import Glibc
import LXCCore

/// The contents of a bzip2, xz, lzma, zstd or lz4 file, decompressed by libarchive, which is told to look for no archive
/// inside ("raw").
///
/// The decoders check the checksums of their formats; lzma has none. How much memory they take, ``DecoderWindow`` says.
final class LibArchiveStream: ByteStream {
    private static let blockSize = 256 << 10

    private let file: Descriptor
    private let size: UInt64
    private let format: CompressionFormat
    private let shown: String
    private let archive: OpaquePointer
    private var isAtEnd = false

    /// Takes an open file that begins as `format` does.
    init(_ file: consuming Descriptor, size: UInt64, _ format: CompressionFormat, _ shown: String) throws {
        guard let archive = archive_read_new() else { throw LXCError(.io, "libarchive cannot be set up") }
        self.archive = archive
        self.file = file
        self.size = size
        self.format = format
        self.shown = shown
        try start()
    }

    deinit { archive_read_free(archive) }

    var bytesRead: UInt64 { UInt64(max(archive_filter_bytes(archive, -1), 0)) }

    func next() throws -> UnsafeRawBufferPointer {
        guard !isAtEnd else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        var start: UnsafeRawPointer?
        var count = 0
        var offset: Int64 = 0
        // Anything but these two is failure; libarchive repeats it at every further call.
        switch archive_read_data_block(archive, &start, &count, &offset) {
        case ARCHIVE_OK: return UnsafeRawBufferPointer(start: start, count: count)
        case ARCHIVE_EOF:
            isAtEnd = true
            try checkEnd()
            return UnsafeRawBufferPointer(start: nil, count: 0)
        default: throw damage(message)
        }
    }

    private func start() throws {
        let support =
            switch format {
            case .bzip2: archive_read_support_filter_bzip2(archive)
            case .xz: archive_read_support_filter_xz(archive)
            case .lzma: archive_read_support_filter_lzma(archive)
            case .zstd: archive_read_support_filter_zstd(archive)
            case .lz4: archive_read_support_filter_lz4(archive)
            case .gzip, .none: ARCHIVE_FAILED
            }
        // A warning says that libarchive was built without the decoder and would start an external program.
        guard support == ARCHIVE_OK else {
            throw LXCError(
                .unsupported, "the host's libarchive cannot decompress \(format.rawValue) by itself (\(shown))")
        }
        var entry: OpaquePointer?
        guard archive_read_support_format_raw(archive) == ARCHIVE_OK,
            archive_read_open_fd(archive, file.raw, Self.blockSize) == ARCHIVE_OK,
            archive_read_next_header(archive, &entry) == ARCHIVE_OK
        else { throw damage(message) }
        // One decoder and libarchive's own reader: a compressed file inside a compressed file is no tar archive.
        guard archive_filter_count(archive) == 2 else { throw damage("it is compressed more than once, or not at all") }
    }

    /// libarchive takes what follows the compressed data and is none for the end of the file; only zeros may follow.
    private func checkEnd() throws {
        var offset = archive_filter_bytes(archive, -1)
        try withUnsafeTemporaryAllocation(byteCount: 65_536, alignment: 8) { buffer in
            while true {
                let count = Descriptor.retrying { pread(file.raw, buffer.baseAddress, buffer.count, off_t(offset)) }
                guard count >= 0 else { throw LXCError.lastSystemCall("pread", "read the archive \(shown)") }
                if count == 0 { return }
                guard UnsafeRawBufferPointer(rebasing: buffer[..<count]).isZero else {
                    throw damage("bytes that are no \(format.rawValue) data follow its end")
                }
                offset += Int64(count)
            }
        }
    }

    private var message: String {
        archive_error_string(archive).map { String(cString: $0).escapedForDisplay } ?? "it cannot be decompressed"
    }

    private func damage(_ why: String) -> LXCError {
        LXCError(.corrupt, "the \(format.rawValue) file \(shown) is damaged: \(why); get it again")
    }
}
