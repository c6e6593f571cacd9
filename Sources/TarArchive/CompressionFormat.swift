/// How an archive is compressed, told by its first bytes and never by its name.
enum CompressionFormat: String, CaseIterable {
    /// Not at all.
    case none
    /// gzip (RFC 1952), one member or several.
    case gzip
    case bzip2
    case xz
    /// What xz replaced; it has no checksum.
    case lzma
    /// Zstandard (RFC 8878).
    case zstd
    /// LZ4 frames.
    case lz4
    /// A zip file, which is to hold one file.
    case zip

    /// How many bytes are enough to tell.
    static let sniffedBytes = 13

    /// Tells the format from an archive's first bytes; what begins like no compressed file is taken as plain.
    init(sniffing bytes: some Collection<UInt8>) {
        let start = Array(bytes.prefix(Self.sniffedBytes))
        self = Self.allCases.first { $0.isMagic(start) } ?? .none
    }

    private func isMagic(_ bytes: [UInt8]) -> Bool {
        switch self {
        case .none: false
        case .gzip: bytes.starts(with: [0x1F, 0x8B])
        case .bzip2: bytes.starts(with: "BZh".utf8) && bytes.count > 3 && (0x31...0x39).contains(bytes[3])
        case .xz: bytes.starts(with: [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00])
        case .lzma: Self.isAloneHeader(bytes)
        case .zstd: bytes.starts(with: [0x28, 0xB5, 0x2F, 0xFD]) || Self.isSkippableFrame(bytes)
        case .lz4: bytes.starts(with: [0x04, 0x22, 0x4D, 0x18])
        // The second is a zip file without any file.
        case .zip: bytes.starts(with: [0x50, 0x4B, 0x03, 0x04]) || bytes.starts(with: [0x50, 0x4B, 0x05, 0x06])
        }
    }

    /// The lzma format has no magic number: the usual parameters, a dictionary of whole 256 bytes, and a size that is
    /// unknown or below 1 TiB. A tar archive with a file called `]` has zeros for the dictionary.
    private static func isAloneHeader(_ bytes: [UInt8]) -> Bool {
        guard bytes.count >= sniffedBytes, bytes[0] == 0x5D, bytes[1] == 0, bytes[2..<5] != [0, 0, 0] else {
            return false
        }
        return bytes[5..<13].allSatisfy { $0 == 0xFF } || bytes[10..<13] == [0, 0, 0]
    }

    /// pzstd and zstd's seekable format begin with a frame that holds no data (magic 0x184D2A50 to 0x184D2A5F).
    private static func isSkippableFrame(_ bytes: [UInt8]) -> Bool {
        bytes.count >= 4 && (0x50...0x5F).contains(bytes[0]) && bytes[1...3] == [0x2A, 0x4D, 0x18]
    }
}
