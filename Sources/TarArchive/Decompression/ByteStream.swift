// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
import StoreFiles

/// The bytes of a tar archive, decompressed, in sequence. Used by one thread, which it may block.
protocol ByteStream: AnyObject {
    /// The next bytes; empty after the last. Everything the format offers to detect damage was checked when this
    /// returns empty.
    ///
    /// - Throws: `LXCError` `corrupt`, `io`, `limitExceeded`.
    func next() throws -> SharedBytes
    /// The number of bytes of the file read so far.
    var bytesRead: UInt64 { get }
}

/// The way an archive is read; other settings than the defaults are for tests.
package struct ArchiveReading: Sendable {
    /// The gzip decoder.
    package var gzip = GzipEngine.fastest
    /// The size of one read from the file, in bytes.
    package var chunkBytes = SharedBytes.Maker.blockSize
    /// The length of a compressed file's stretch that may yield no contents, in bytes: empty members, zeros, skipped
    /// fields. A longer one is made to keep its reader busy. Decoders with threads take up to a window before they
    /// yield any.
    package var longestSilence: UInt64 = 256 << 20

    /// The defaults.
    package init() {}
}

/// An open archive file: its size and the stream of its contents.
struct ArchiveFile {
    let size: UInt64
    let stream: any ByteStream

    /// Opens the file and finds out how it is compressed.
    init(_ origin: any StoredFile, reading: ArchiveReading = ArchiveReading()) throws {
        let file = try origin.open()
        size = file.size
        let shown = "\"\(origin.description.escapedForDisplay)\""
        let (format, start) = try Self.format(of: file)
        let problem = DecoderProblem(format: format, shown: shown)
        stream = ReadAheadStream(IdentifiedStream(try Self.stream(file, from: start, problem, reading), problem))
    }

    private static func format(of file: any OpenStoredFile) throws -> (format: CompressionFormat, start: UInt64) {
        try CompressionFormat.find { offset in
            var start = [UInt8](repeating: 0, count: CompressionFormat.sniffedBytes)
            let count = try start.withUnsafeMutableBytes { try file.read(into: $0, at: offset) }
            return Array(start[..<count])
        }
    }

    private static func stream(
        _ file: any OpenStoredFile, from start: UInt64, _ problem: DecoderProblem, _ reading: ArchiveReading
    ) throws -> any ByteStream {
        let decoder: any MemberDecoder
        switch problem.format {
        case .none: return FileStream(file, chunkBytes: reading.chunkBytes)
        case .bzip2, .lz4, .compress: return try LibArchiveStream(file, from: start, problem)
        case .zip: return try ZipStream(file, problem)
        case .gzip: decoder = try GzipDecoder(reading.gzip, problem)
        case .xz, .lzma, .lzip: decoder = LzmaDecoder(problem)
        case .zstd: decoder = try ZstdDecoder(problem)
        }
        let input = FileStream(file, chunkBytes: reading.chunkBytes)
        return try CompressedStream(input, decoder, problem, longestSilence: reading.longestSilence)
    }
}

/// A file's bytes as they are.
final class FileStream: ByteStream {
    private let file: any OpenStoredFile
    private let chunkBytes: Int
    private let maker = SharedBytes.Maker()
    private(set) var bytesRead: UInt64 = 0

    /// Creates a stream of an open file, with the number of bytes to read at a time.
    init(_ file: any OpenStoredFile, chunkBytes: Int) {
        self.file = file
        self.chunkBytes = chunkBytes
    }

    func next() throws -> SharedBytes {
        let bytes = try maker.make(upTo: chunkBytes) { try file.read(into: $0, at: bytesRead) }
        bytesRead += UInt64(bytes.count)
        return bytes
    }
}
