// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
import StoreFiles

/// A stream that inspects the first bytes of another: contents that are no archive are refused, naming what they are.
///
/// A tar archive passes, and a disk image in qcow2 format, which are stored as they are.
final class IdentifiedStream: ByteStream {
    private let stream: any ByteStream
    private let format: CompressionFormat
    private let shown: String
    private var isIdentified = false

    /// Creates a stream over another, which nothing else may use, with its file's compression and its name in messages.
    init(_ stream: any ByteStream, _ problem: DecoderProblem) {
        self.stream = stream
        format = problem.format
        shown = problem.shown
    }

    var bytesRead: UInt64 { stream.bytesRead }

    func next() throws -> SharedBytes {
        guard !isIdentified else { return try stream.next() }
        isIdentified = true
        let start = try start()
        try start.withUnsafeBytes { try identify($0) }
        return start
    }

    /// The first block of an archive at least, in one piece.
    private func start() throws -> SharedBytes {
        let first = try stream.next()
        guard first.count < TarInput.blockSize else { return first }
        var bytes = first.withUnsafeBytes { Array($0) }
        while bytes.count < TarInput.blockSize, case let more = try stream.next(), !more.isEmpty {
            more.withUnsafeBytes { bytes += $0 }
        }
        return SharedBytes(copying: bytes)
    }

    private func identify(_ start: UnsafeRawBufferPointer) throws {
        guard !start.isEmpty else { throw LXCError(.corrupt, "\(shown) is empty and no archive; get it again") }
        let block = UnsafeRawBufferPointer(rebasing: start.prefix(TarInput.blockSize))
        guard !isTar(block), !start.starts(with: QcowHeader.magic) else { return }
        // A plain archive must not be compressed again: readers that recognize compression by content would decompress
        // it.
        guard CompressionFormat(sniffing: start) == .none else {
            throw LXCError(
                .unsupported,
                "the archive \(shown) is compressed more than once; decompress it once and take the result")
        }
        let subject = format == .none ? "\(shown) is" : "the \(format.rawValue) file \(shown) holds"
        if let foreign = ForeignFormat(start) {
            throw LXCError(foreign.code, "\(subject) \(foreign.name) and no tar archive; \(foreign.remedy)")
        }
        // The reader reports a damaged header.
        guard !Self.resemblesTar(block) else { return }
        throw LXCError(
            .corrupt, "\(subject) no tar archive: it does not begin as one does, and is of no other format known here")
    }

    private func isTar(_ block: UnsafeRawBufferPointer) -> Bool {
        guard block.count == TarInput.blockSize else { return false }
        return block.isZero || TarHeader(SharedBytes(copying: block)) != nil
    }

    private static func resemblesTar(_ block: UnsafeRawBufferPointer) -> Bool {
        block.count >= 262 && block[257..<262].elementsEqual("ustar".utf8)
    }
}
