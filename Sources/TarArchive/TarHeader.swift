import FileTree

/// A header block of tar(5). Numbers are read when they are asked for, because an extended header may replace one that
/// did not fit.
struct TarHeader {
    /// Who defined the fields after the first 257 bytes.
    enum Dialect { case v7, posix, star, gnu }

    private let bytes: [UInt8]
    let dialect: Dialect

    /// Copies a block; nil when its checksum does not match.
    init?(_ block: UnsafeRawBufferPointer) {
        bytes = Array(block)
        let magic = bytes[257..<265]
        if magic.elementsEqual("ustar  \0".utf8) {
            dialect = .gnu
        } else if magic.starts(with: "ustar\0".utf8) {
            dialect = bytes[508...].elementsEqual("tar\0".utf8) ? .star : .posix
        } else {
            dialect = .v7
        }
        guard let stored = number(148..<156), isChecksum(stored) else { return nil }
    }

    /// The letter for the kind of entry; old archives have a NUL for files.
    var type: UInt8 { bytes[156] }
    var mode: Int64? { number(100..<108) }
    var user: Int64? { number(108..<116) }
    var group: Int64? { number(116..<124) }
    var size: Int64? { number(124..<136) }
    var modified: Int64? { number(136..<148) }
    var linkName: [UInt8] { text(157..<257) }
    var major: Int64? { number(329..<337) }
    var minor: Int64? { number(337..<345) }

    /// The name, with the prefix POSIX keeps apart.
    var name: [UInt8] {
        let name = text(0..<100)
        let prefix: [UInt8]
        switch dialect {
        case .posix: prefix = text(345..<500)
        case .star: prefix = text(345..<476)
        case .v7, .gnu: prefix = []
        }
        return prefix.isEmpty ? name : prefix + [UInt8(ascii: "/")] + name
    }

    /// The size of an old GNU sparse file with its holes.
    var realSize: Int64? { number(483..<495) }
    /// Whether blocks with more of the sparse map follow.
    var hasMoreSparse: Bool { bytes[482] != 0 }
    /// The part of the sparse map that is in the header.
    var sparseMap: [SparseMap.Extent]? { SparseMap.extents(bytes[386..<482]) }

    /// The number in a field: octal digits, or with the first bit set a binary number of any size and sign; nil when
    /// it is neither or too large.
    static func number(_ field: ArraySlice<UInt8>) -> Int64? {
        guard let first = field.first else { return nil }
        if first & 0x80 != 0 { return binary(field, isNegative: first & 0x40 != 0) }
        let digits = field.drop { $0 == UInt8(ascii: " ") || $0 == 0 }
        var result: Int64 = 0
        for (index, digit) in digits.enumerated() {
            guard digit != UInt8(ascii: " "), digit != 0 else {
                // Nothing but blanks may follow.
                return digits.dropFirst(index).allSatisfy { $0 == UInt8(ascii: " ") || $0 == 0 } ? result : nil
            }
            guard (UInt8(ascii: "0")...UInt8(ascii: "7")).contains(digit), result <= Int64.max >> 3 else { return nil }
            result = result << 3 | Int64(digit - UInt8(ascii: "0"))
        }
        return result
    }

    private static func binary(_ field: ArraySlice<UInt8>, isNegative: Bool) -> Int64? {
        let start: UInt8 = field[field.startIndex] & 0x7F | (isNegative ? 0x80 : 0)
        var result: Int64 = isNegative ? -1 : 0
        for byte in [start] + field.dropFirst() {
            let (product, overflows) = result.multipliedReportingOverflow(by: 256)
            guard !overflows else { return nil }
            result = product | Int64(byte)
        }
        return result
    }

    private func number(_ field: Range<Int>) -> Int64? { Self.number(bytes[field]) }

    private func text(_ field: Range<Int>) -> [UInt8] { Array(bytes[field].prefix { $0 != 0 }) }

    /// The sum of all bytes, the checksum itself taken as blanks. Some old writers summed signed bytes.
    private func isChecksum(_ stored: Int64) -> Bool {
        var unsigned: Int64 = 0
        var signed: Int64 = 0
        for (index, byte) in bytes.enumerated() {
            let byte = (148..<156).contains(index) ? UInt8(ascii: " ") : byte
            unsigned += Int64(byte)
            signed += Int64(Int8(bitPattern: byte))
        }
        return stored == unsigned || stored == signed
    }
}
