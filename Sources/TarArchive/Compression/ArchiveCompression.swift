// SPDX-License-Identifier: Apache-2.0

import CLibArchive
import FileTree
import Glibc
import LXCCore

/// Compresses an archive with libarchive's filters, which are given plain bytes ("raw").
///
/// The result depends on the bytes alone: gzip's time is left out. zstd and xz have encoders of their own,
/// ``ZstdEncoder`` and ``XzEncoder``.
final class ArchiveCompression: ArchiveEncoder {
    private static let blockSize = 256 << 10

    private let format: CompressionFormat
    private let shown: String
    private let archive: OpaquePointer
    private let output: Output

    /// libarchive's output: the file, and the reason why writing failed.
    private final class Output {
        let file: ArchiveFileOutput
        var failure: (any Error)?
        /// Whether further output is discarded. libarchive never sees a failure: its filters leak memory unless they
        /// are finished.
        var isAbandoned = false

        init(_ file: ArchiveFileOutput) { self.file = file }

        func write(_ bytes: UnsafeRawBufferPointer) -> Int {
            if isAbandoned { return bytes.count }
            do {
                try file.write(bytes)
            } catch {
                failure = error
                isAbandoned = true
            }
            return bytes.count
        }
    }

    /// Creates a compressor that writes to a file.
    ///
    /// - Throws: `LXCError` `unsupported` where the host's libarchive lacks the format.
    init(_ format: CompressionFormat, _ file: ArchiveFileOutput, shown: String) throws {
        guard let archive = archive_write_new() else { throw LXCError(.io, "libarchive cannot be set up") }
        self.format = format
        self.shown = shown
        self.archive = archive
        output = Output(file)
        try start()
    }

    deinit {
        output.isAbandoned = true
        archive_write_free(archive)
    }

    func write(_ bytes: SharedBytes) throws {
        let count = bytes.withUnsafeBytes { archive_write_data(archive, $0.baseAddress, $0.count) }
        guard count == bytes.count, output.failure == nil else { throw failure() }
    }

    func finish() throws {
        guard archive_write_close(archive) == ARCHIVE_OK, output.failure == nil else { throw failure() }
    }

    private func start() throws {
        // A warning means that libarchive was built without the encoder and would start an external program.
        guard addFilter() == ARCHIVE_OK else {
            throw LXCError(
                .unsupported, "the host's libarchive cannot compress \(format.rawValue) by itself (\(shown))")
        }
        setOptions()
        archive_write_set_bytes_per_block(archive, CInt(Self.blockSize))
        archive_write_set_bytes_in_last_block(archive, 1)
        guard archive_write_set_format_raw(archive) == ARCHIVE_OK, let entry = archive_entry_new() else {
            throw failure()
        }
        defer { archive_entry_free(entry) }
        archive_entry_set_filetype(entry, UInt32(Glibc.S_IFREG))
        let client = Unmanaged.passUnretained(output).toOpaque()
        let opened = archive_write_open(
            archive, client, nil,
            { _, client, bytes, count in
                guard let client else { return -1 }
                let output = Unmanaged<Output>.fromOpaque(client).takeUnretainedValue()
                return output.write(UnsafeRawBufferPointer(start: bytes, count: count))
            }, nil)
        guard opened == ARCHIVE_OK, archive_write_header(archive, entry) == ARCHIVE_OK else { throw failure() }
    }

    private func addFilter() -> CInt {
        switch format {
        case .gzip: archive_write_add_filter_gzip(archive)
        case .bzip2: archive_write_add_filter_bzip2(archive)
        case .lz4: archive_write_add_filter_lz4(archive)
        case .xz, .zstd, .lzma, .lzip, .compress, .zip, .none: ARCHIVE_FAILED
        }
    }

    /// A libarchive that does not know an option does without it.
    private func setOptions() {
        if format == .gzip { archive_write_set_filter_option(archive, nil, "timestamp", nil) }
    }

    private func failure() -> any Error {
        if let failure = output.failure { return failure }
        let text = archive_error_string(archive).map { String(cString: $0).escapedForDisplay } ?? "libarchive failed"
        return LXCError(.io, "cannot compress the archive \(shown): \(text)")
    }
}

extension CompressionFormat {
    /// The compression of archives with these name endings.
    private static let endings: KeyValuePairs<String, CompressionFormat> = [
        ".tar": .none, ".tar.gz": .gzip, ".tgz": .gzip, ".tar.xz": .xz, ".txz": .xz, ".tar.zst": .zstd, ".tzst": .zstd,
        ".tar.bz2": .bzip2, ".tbz2": .bzip2, ".tar.lz4": .lz4,
    ]

    /// The compression an archive's name asks for.
    ///
    /// - Throws: `LXCError` `invalidArgument` for a name without one of the endings.
    init(forNewArchive name: String) throws {
        guard let format = Self.endings.first(where: { name.hasSuffix($0.key) })?.value else {
            throw LXCError(
                .invalidArgument,
                "\"\(name.escapedForDisplay)\" does not say how to compress the archive; end the name in "
                    + Self.endings.map(\.key).joined(separator: ", "))
        }
        self = format
    }
}
