import CLibArchive

/// The contents of a file compressed with bzip2, xz, lzma, zstd or lz4, or not at all: libarchive finds out which.
final class FilterStream: ByteStream {
    private let file: FileStream
    private let archive: ReadArchive
    private var isOpen = false

    init(_ file: FileStream) throws {
        self.file = file
        archive = try ReadArchive.open(file, of: file) { raw in
            archive_read_support_filter_bzip2(raw)
            archive_read_support_filter_lzma(raw)
            archive_read_support_filter_xz(raw)
            archive_read_support_filter_zstd(raw)
            archive_read_support_filter_lz4(raw)
            archive_read_support_format_raw(raw)
        }
    }

    func next() throws -> UnsafeRawBufferPointer {
        if !isOpen {
            // The raw format is an archive of one entry: the contents.
            var entry: OpaquePointer?
            guard try archive.succeeded(archive_read_next_header(archive.raw, &entry)) else { return end }
            isOpen = true
        }
        var bytes: UnsafeRawPointer?
        var count = 0
        var offset: Int64 = 0
        while try archive.succeeded(archive_read_data_block(archive.raw, &bytes, &count, &offset)) {
            if count > 0 { return UnsafeRawBufferPointer(start: bytes, count: count) }
        }
        guard try file.next().isEmpty, archive_filter_bytes(archive.raw, -1) == Int64(clamping: file.position) else {
            throw file.corrupt("has something else after its compressed data")
        }
        return end
    }

    private var end: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: nil, count: 0) }
}
