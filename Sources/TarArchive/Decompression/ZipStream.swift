// SPDX-License-Identifier: Apache-2.0

import CLibArchive
import FileTree
import Glibc
import LXCCore
import StoreFiles

/// The one file in a zip file, read by libarchive from the directory at the file's end.
///
/// The member's name is not used; one that leaves its directory is refused nevertheless, as the mark of a malicious
/// file. Every check the format offers is made: sizes and CRC.
final class ZipStream: ByteStream {
    private let input: LibArchiveInput
    private let problem: DecoderProblem
    private let archive: OpaquePointer
    private let maker = SharedBytes.Maker()
    private var isAtEnd = false

    /// Creates a stream of an open zip file; `problem` names the file in errors.
    init(_ file: any OpenStoredFile, _ problem: DecoderProblem) throws {
        guard let archive = archive_read_new() else { throw problem.trouble("libarchive cannot be set up") }
        self.archive = archive
        input = LibArchiveInput(file)
        self.problem = problem
        try start()
    }

    deinit { archive_read_free(archive) }

    var bytesRead: UInt64 { UInt64(max(archive_filter_bytes(archive, -1), 0)) }

    func next() throws -> SharedBytes {
        guard !isAtEnd else { return .empty }
        let bytes = try maker.make(upTo: SharedBytes.Maker.blockSize) { room in
            let count = archive_read_data(archive, room.baseAddress, room.count)
            // Warnings are negative too: libarchive only warns of a wrong size.
            guard count >= 0 else { throw failure }
            return count
        }
        if bytes.isEmpty {
            isAtEnd = true
            guard try member() == nil else { throw unsuitable("more than one file") }
        }
        return bytes
    }

    private func start() throws {
        guard archive_read_support_format_zip_seekable(archive) == ARCHIVE_OK,
            input.open(archive) == ARCHIVE_OK
        else { throw failure }
        guard let entry = try member() else { throw unsuitable("no file") }
        try check(entry)
        try checkMethod()
    }

    /// Methods whose decoders need little memory for any file; libarchive limits zstd to 128 MiB.
    private static let frugalMethods = ["uncompressed", "deflation", "bzip", "zstd"]

    /// Refuses what would make libarchive, which has no limit, allocate whatever the file asks for.
    private func checkMethod() throws {
        // "ZIP 6.3 (lzma)"
        let format = archive_format_name(archive).map { String(cString: $0) } ?? ""
        let method = format.split(separator: "(").last.map { $0.prefix { $0 != ")" } } ?? ""
        if Self.frugalMethods.contains(String(method)) { return }
        guard method == "lzma" else {
            throw LXCError(
                .unsupported,
                "the zip file \(problem.shown) is packed in a way that is not read (\(String(method).escapedForDisplay)); "
                    + "pack it again with deflate")
        }
        // A version of two bytes, the length of the properties in two, and the properties: one byte and the window.
        let offset = UInt64(max(archive_filter_bytes(archive, 0), 0))
        let window = try withUnsafeTemporaryAllocation(byteCount: 9, alignment: 8) { header in
            var count = 0
            while count < header.count {
                let room = UnsafeMutableRawBufferPointer(rebasing: header[count...])
                let read = try input.file.read(into: room, at: offset + UInt64(count))
                guard read > 0 else { throw failure }
                count += read
            }
            return UInt32(littleEndian: header.loadUnaligned(fromByteOffset: 5, as: UInt32.self))
        }
        guard UInt64(window) <= DecoderWindow.maximum else { throw problem.window }
    }

    private func member() throws -> OpaquePointer? {
        var entry: OpaquePointer?
        switch archive_read_next_header(archive, &entry) {
        case ARCHIVE_OK: return entry
        case ARCHIVE_EOF: return nil
        default: throw failure
        }
    }

    private func check(_ entry: OpaquePointer) throws {
        guard archive_entry_is_encrypted(entry) == 0 else {
            throw LXCError(.unsupported, "the archive \(problem.shown) is encrypted; decrypt it first")
        }
        guard archive_entry_filetype(entry) == S_IFREG else { throw unsuitable("something that is not a file") }
        // The host's character set may have no such name; then it leads nowhere either.
        guard let bytes = archive_entry_pathname(entry) ?? archive_entry_pathname_utf8(entry) else { return }
        let name = String(cString: bytes)
        let parts = name.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        guard parts.allSatisfy({ !$0.isEmpty && !$0.elementsEqual("..".utf8) }) else {
            throw LXCError(
                .unsafe, "the archive \(problem.shown) has a file \"\(name.escapedForDisplay)\", outside of itself")
        }
    }

    private func unsuitable(_ contents: String) -> LXCError {
        LXCError(
            .corrupt, "the archive \(problem.shown) holds \(contents); a zip file must hold exactly one tar archive")
    }

    private var failure: any Error { input.problem(of: archive, problem, otherwise: "it cannot be read") }
}
