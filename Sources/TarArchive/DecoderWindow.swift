import CZlib
import LXCCore

/// How much a compressed file makes its decoder remember, which is most of the memory decompression takes.
///
/// Judged from the file's start, before any decoder sees it. That is all of an lzma file. Of a zstd file it is the
/// first frame; for the others libzstd has the same limit by itself. Of an xz file it is the first block: later blocks
/// of a file made to do harm can ask for up to 4 GiB, because libarchive gives liblzma no limit.
enum DecoderWindow {
    /// The largest window that is accepted, in bytes; the highest settings of xz and zstd, short of those whose users
    /// have to raise the limit for decompression too, stay at or below it.
    static let maximum: UInt64 = 128 << 20
    /// How much of the file's start ``size(_:_:)`` looks at: an xz stream's header and the largest block header.
    static let inspectedBytes = 12 + 1024

    /// Refuses a file that asks for more than ``maximum``.
    ///
    /// - Throws: `LXCError` `limitExceeded`.
    static func check(_ start: ArraySlice<UInt8>, _ format: CompressionFormat, _ shown: String) throws {
        guard let size = size(start, format), size > maximum else { return }
        throw LXCError(
            .limitExceeded,
            "\(shown) asks for a \(format.rawValue) window of \(size) bytes, more than \(maximum); "
                + "compress it with a smaller one")
    }

    /// The window in bytes; nil where the format's is always small, or the start cannot be understood, which is left
    /// to the decoder.
    private static func size(_ start: ArraySlice<UInt8>, _ format: CompressionFormat) -> UInt64? {
        var fields = FieldReader(start)
        switch format {
        case .lzma: return fields.skip(1) ? fields.number(4) : nil
        case .zstd: return fields.skip(4) ? zstd(&fields) : nil
        case .xz: return fields.skip(12) ? xz(fields.rest) : nil
        case .none, .gzip, .bzip2, .lz4: return nil
        }
    }

    /// RFC 8878, 3.1.1.1: a window descriptor, or a frame that is one segment and as large as its contents.
    private static func zstd(_ fields: inout FieldReader) -> UInt64? {
        guard let descriptor = fields.number(1) else { return nil }
        guard descriptor & 0x20 != 0 else {
            guard let window = fields.number(1) else { return nil }
            let base = UInt64(1) << (10 + window >> 3)
            return base + base / 8 * (window & 7)
        }
        let dictionaryBytes = [0, 1, 2, 4][Int(descriptor & 3)]
        let sizeBytes = [1, 2, 4, 8][Int(descriptor >> 6)]
        return fields.skip(dictionaryBytes) ? fields.number(sizeBytes) : nil
    }

    /// The .xz file format, 3.1: a block header, believed when its CRC is right.
    private static func xz(_ block: ArraySlice<UInt8>) -> UInt64? {
        guard let first = block.first, first != 0 else { return nil }
        let length = (Int(first) + 1) * 4
        guard block.count >= length else { return nil }
        let header = block.prefix(length - 4)
        var check = FieldReader(block.dropFirst(length - 4))
        guard check.number(4) == UInt64(header.withUnsafeBufferPointer { crc32(0, $0.baseAddress, UInt32($0.count)) })
        else { return nil }
        var fields = FieldReader(header.dropFirst())
        guard let flags = fields.number(1) else { return nil }
        for sizeFlag in [0x40, 0x80] as [UInt64] where flags & sizeFlag != 0 {
            guard fields.variableNumber() != nil else { return nil }
        }
        for _ in 0...(flags & 3) {
            guard let filter = fields.variableNumber(), let size = fields.variableNumber() else { return nil }
            if filter == lzma2 { return fields.number(1).flatMap(lzma2Dictionary) }
            guard size <= UInt64(inspectedBytes), fields.skip(Int(size)) else { return nil }
        }
        return nil
    }

    private static let lzma2: UInt64 = 0x21

    /// The .xz file format, 5.3.1.
    private static func lzma2Dictionary(_ code: UInt64) -> UInt64? {
        switch code {
        case 0..<40: (2 | code & 1) << (code / 2 + 11)
        case 40: UInt64(UInt32.max)
        default: nil
        }
    }
}

/// Takes numbers from bytes, one after the other.
private struct FieldReader {
    private(set) var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    /// Passes over bytes; false when there are not as many.
    mutating func skip(_ count: Int) -> Bool {
        guard rest.count >= count else { return false }
        rest = rest.dropFirst(count)
        return true
    }

    /// A little-endian number of `count` bytes.
    mutating func number(_ count: Int) -> UInt64? {
        let bytes = rest.prefix(count)
        guard skip(count) else { return nil }
        return bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// A number in groups of seven bits, the lowest first.
    mutating func variableNumber() -> UInt64? {
        var result: UInt64 = 0
        for shift in stride(from: 0 as UInt64, to: 63, by: 7) {
            guard let byte = number(1) else { return nil }
            result |= (byte & 0x7F) << shift
            if byte & 0x80 == 0 { return result }
        }
        return nil
    }
}
