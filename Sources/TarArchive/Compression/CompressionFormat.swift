// SPDX-License-Identifier: Apache-2.0

/// An archive's compression, recognized by its first bytes, never by its name.
enum CompressionFormat: String, CaseIterable {
    /// Not at all.
    case none
    /// gzip (RFC 1952), one member or several.
    case gzip
    case bzip2
    case xz
    /// The predecessor of xz; it has no checksum.
    case lzma
    /// Zstandard (RFC 8878).
    case zstd
    /// LZ4 frames, and the format before them.
    case lz4
    /// lzip.
    case lzip
    /// The format of `compress` (`.Z`); it has no checksum and no end mark.
    case compress
    /// A zip file, which is to hold one file.
    case zip

    /// The number of bytes that suffices to recognize a format.
    static let sniffedBytes = 13
    /// The number of frames without data skipped before a file's first frame with data.
    private static let maximumSkippedFrames = 1_024

    /// Recognizes the format by an archive's first bytes; a file that begins like no compressed file is treated as
    /// plain.
    init(sniffing bytes: some Collection<UInt8>) {
        let start = Array(bytes.prefix(Self.sniffedBytes))
        self = Self.allCases.first { $0.isMagic(start) } ?? .none
    }

    /// Recognizes the format of a file, which `read` reads from an offset on, and finds its first frame with data. zstd
    /// and LZ4 files may both begin with frames that hold no data and look alike; the first other frame decides.
    static func find(reading read: (UInt64) throws -> [UInt8]) rethrows -> (format: Self, start: UInt64) {
        var (offset, bytes) = (UInt64(0), try read(0))
        let format = Self(sniffing: bytes)
        guard isSkippableFrame(bytes) else { return (format, 0) }
        for _ in 0..<maximumSkippedFrames where isSkippableFrame(bytes) && bytes.count >= 8 {
            offset += 8 + bytes[4..<8].reversed().reduce(0) { $0 << 8 | UInt64($1) }
            bytes = try read(offset)
        }
        // The decoder of zstd skips such frames.
        return lz4.isMagic(bytes) ? (.lz4, offset) : (format, 0)
    }

    private func isMagic(_ bytes: [UInt8]) -> Bool {
        switch self {
        case .none: false
        case .gzip: bytes.starts(with: [0x1F, 0x8B])
        case .bzip2: bytes.starts(with: "BZh".utf8) && bytes.count > 3 && (0x31...0x39).contains(bytes[3])
        case .xz: bytes.starts(with: [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00])
        case .lzma: Self.isAloneHeader(bytes)
        case .zstd: bytes.starts(with: [0x28, 0xB5, 0x2F, 0xFD]) || Self.isSkippableFrame(bytes)
        case .lz4: bytes.starts(with: [0x04, 0x22, 0x4D, 0x18]) || bytes.starts(with: [0x02, 0x21, 0x4C, 0x18])
        case .lzip: bytes.starts(with: "LZIP".utf8) && bytes.count > 4 && bytes[4] <= 1
        case .compress: bytes.starts(with: [0x1F, 0x9D])
        // The second is a zip file without any file.
        case .zip: bytes.starts(with: [0x50, 0x4B, 0x03, 0x04]) || bytes.starts(with: [0x50, 0x4B, 0x05, 0x06])
        }
    }

    /// The lzma format has no magic number; this is xz's heuristic: possible parameters, a dictionary of 2^n or 2^n +
    /// 2^(n-1) bytes, and a size that is unknown or below 256 GiB. A tar archive has letters or zeros in place of the
    /// dictionary.
    private static func isAloneHeader(_ bytes: [UInt8]) -> Bool {
        guard bytes.count >= sniffedBytes, bytes[0] < 225, Int(bytes[0]) % 9 + Int(bytes[0]) / 9 % 5 <= 4 else {
            return false
        }
        let dictionary = bytes[1..<5].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        guard dictionary >= 1 << 12 else { return false }
        let rest = dictionary & (dictionary - 1)
        let isUsual = rest == 0 || rest & (rest - 1) == 0 && rest == (dictionary ^ rest) << 1 || dictionary == .max
        // With the usual parameters other dictionaries are taken too.
        guard isUsual || bytes[0] == 0x5D && bytes[1] == 0 else { return false }
        return bytes[5..<13].allSatisfy { $0 == 0xFF } || bytes[9] < 64 && bytes[10..<13] == [0, 0, 0]
    }

    /// pzstd and zstd's seekable format begin with a frame that holds no data (magic 0x184D2A50 to 0x184D2A5F).
    private static func isSkippableFrame(_ bytes: [UInt8]) -> Bool {
        bytes.count >= 4 && (0x50...0x5F).contains(bytes[0]) && bytes[1...3] == [0x2A, 0x4D, 0x18]
    }
}
