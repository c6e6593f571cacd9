// SPDX-License-Identifier: Apache-2.0

import CLibArchive
import FileTree
import LXCCore
import StoreFiles

/// The contents of a bzip2, lz4 or `.Z` file, decompressed by libarchive without looking for an archive inside ("raw").
///
/// The decoders check the checksums of their formats, and take some MiB of memory.
final class LibArchiveStream: ByteStream {
    private let input: LibArchiveInput
    private let problem: DecoderProblem
    private let archive: OpaquePointer
    private let maker = SharedBytes.Maker()
    private var isAtEnd = false
    private var padding: UInt64 = 0

    /// Creates a stream of an open file, with the offset of the first data and the file's name in errors.
    init(_ file: any OpenStoredFile, from start: UInt64, _ problem: DecoderProblem) throws {
        guard let archive = archive_read_new() else { throw problem.trouble("libarchive cannot be set up") }
        self.archive = archive
        input = LibArchiveInput(file, from: start)
        self.problem = problem
        try self.start()
    }

    deinit { archive_read_free(archive) }

    var bytesRead: UInt64 { input.start + UInt64(max(archive_filter_bytes(archive, -1), 0)) + padding }

    func next() throws -> SharedBytes {
        guard !isAtEnd else { return .empty }
        let bytes = try maker.make(upTo: SharedBytes.Maker.blockSize) { room in
            let count = archive_read_data(archive, room.baseAddress, room.count)
            // libarchive repeats a failure at every further call.
            guard count >= 0 else { throw failure }
            return count
        }
        if bytes.isEmpty {
            isAtEnd = true
            try checkEnd()
        }
        return bytes
    }

    private func start() throws {
        let support =
            switch problem.format {
            case .bzip2: archive_read_support_filter_bzip2(archive)
            case .lz4: archive_read_support_filter_lz4(archive)
            case .compress: archive_read_support_filter_compress(archive)
            case .none, .gzip, .xz, .lzma, .lzip, .zstd, .zip: ARCHIVE_FAILED
            }
        // A warning means that libarchive was built without the decoder and would start an external program.
        guard support == ARCHIVE_OK else {
            throw LXCError(
                .unsupported,
                "the host's libarchive cannot decompress \(problem.format.rawValue) by itself (\(problem.shown))")
        }
        var entry: OpaquePointer?
        guard archive_read_support_format_raw(archive) == ARCHIVE_OK,
            input.open(archive) == ARCHIVE_OK, archive_read_next_header(archive, &entry) == ARCHIVE_OK
        else { throw failure }
        // One decoder and libarchive's own reader: a compressed file inside a compressed file is no tar archive.
        guard archive_filter_count(archive) == 2 else {
            throw problem.damage("it is compressed more than once, or not at all")
        }
    }

    /// libarchive treats other data after the compressed data as the end of the file; only zeros may follow.
    private func checkEnd() throws {
        try withUnsafeTemporaryAllocation(byteCount: 65_536, alignment: 8) { buffer in
            while true {
                let count = try input.file.read(into: buffer, at: bytesRead)
                if count == 0 { return }
                guard UnsafeRawBufferPointer(rebasing: buffer[..<count]).isZero else {
                    throw problem.damage("bytes that are no \(problem.format.rawValue) data follow its end")
                }
                padding += UInt64(count)
            }
        }
    }

    private var failure: any Error { input.problem(of: archive, problem, otherwise: "it cannot be decompressed") }
}
