// SPDX-License-Identifier: Apache-2.0

import FileTree

/// A header block of tar(5). Numbers are parsed on access, because an extended header may replace one that did not fit.
struct TarHeader {
    /// The origin of the fields after the first 257 bytes.
    enum Dialect { case v7, posix, star, gnu }

    private let block: SharedBytes
    let dialect: Dialect
    /// The letter for the kind of entry; old archives have a NUL for files.
    let type: UInt8

    /// Creates a tar header from a block; nil when its checksum does not match.
    init?(_ block: SharedBytes) {
        self.block = block
        let fields = block.withUnsafeBytes { bytes -> (Dialect, UInt8)? in
            guard let stored = Self.number(bytes[148..<156]), Self.isChecksum(stored, of: bytes) else { return nil }
            return (Self.dialect(of: bytes), bytes[156])
        }
        guard let fields else { return nil }
        (dialect, type) = fields
    }

    var mode: Int64? { number(100..<108) }
    var user: Int64? { number(108..<116) }
    var group: Int64? { number(116..<124) }
    /// Some readers take blanks alone for a number and others do not, and then see the next header elsewhere.
    var size: Int64? {
        block.withUnsafeBytes { bytes in
            bytes[124..<136].allSatisfy { $0 == UInt8(ascii: " ") } ? nil : Self.number(bytes[124..<136])
        }
    }
    var modified: Int64? { number(136..<148) }
    var linkName: [UInt8] { text(157..<257) }
    var major: Int64? { number(329..<337) }
    var minor: Int64? { number(337..<345) }

    /// The name, including POSIX's separate prefix.
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
    var hasMoreSparse: Bool { block.withUnsafeBytes { $0[482] != 0 } }
    /// The part of the sparse map that is in the header.
    var sparseMap: [SparseMap.Extent]? { block.withUnsafeBytes { SparseMap.extents($0[386..<482]) } }

    /// The number in a field: octal digits, or with the first bit set a binary number of any size and sign; nil when
    /// it is neither or too large. Digits after a NUL are read by some readers and are no number to others.
    static func number(_ field: Slice<UnsafeRawBufferPointer>) -> Int64? {
        guard let first = field.first else { return nil }
        if first & 0x80 != 0 { return binary(field, isNegative: first & 0x40 != 0) }
        let isBlank = { (byte: UInt8) in byte == UInt8(ascii: " ") || byte == 0 }
        var rest = field.drop { $0 == UInt8(ascii: " ") }
        if rest.first == 0 { return rest.allSatisfy(isBlank) ? 0 : nil }
        var result: Int64 = 0
        while let byte = rest.first, !isBlank(byte) {
            let digit = byte &- UInt8(ascii: "0")
            guard digit < 8, result <= Int64.max >> 3 else { return nil }
            result = result << 3 | Int64(digit)
            rest = rest.dropFirst()
        }
        return rest.allSatisfy(isBlank) ? result : nil
    }

    private static func binary(_ field: Slice<UnsafeRawBufferPointer>, isNegative: Bool) -> Int64? {
        let start: UInt8 = field[field.startIndex] & 0x7F | (isNegative ? 0x80 : 0)
        var result: Int64 = isNegative ? -1 : 0
        for byte in [start] + field.dropFirst() {
            let (product, overflows) = result.multipliedReportingOverflow(by: 256)
            guard !overflows else { return nil }
            result = product | Int64(byte)
        }
        return result
    }

    private func number(_ field: Range<Int>) -> Int64? { block.withUnsafeBytes { Self.number($0[field]) } }

    private func text(_ field: Range<Int>) -> [UInt8] {
        block.withUnsafeBytes { bytes in Array(bytes[field].prefix { $0 != 0 }) }
    }

    private static func dialect(of bytes: UnsafeRawBufferPointer) -> Dialect {
        if bytes.isEqual(257..<265, "ustar  \0") { return .gnu }
        guard bytes.isEqual(257..<263, "ustar\0") else { return .v7 }
        return bytes.isEqual(508..<512, "tar\0") ? .star : .posix
    }

    /// The sum of all bytes, the checksum itself taken as blanks. Some old writers summed signed bytes.
    private static func isChecksum(_ stored: Int64, of bytes: UnsafeRawBufferPointer) -> Bool {
        stored == sum(bytes) { Int32($0) } || stored == sum(bytes) { Int32(Int8(bitPattern: $0)) }
    }

    /// Cannot overflow; without the check the compiler vectorizes the sum.
    @inline(__always)
    private static func sum(_ bytes: UnsafeRawBufferPointer, _ value: (UInt8) -> Int32) -> Int32 {
        var sum = 8 * value(UInt8(ascii: " "))
        for byte in bytes { sum &+= value(byte) }
        for byte in bytes[148..<156] { sum &-= value(byte) }
        return sum
    }
}
