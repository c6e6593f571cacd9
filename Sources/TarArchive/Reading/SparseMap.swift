// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore

/// The places of a sparse file's data ranges.
struct SparseMap {
    /// A data range of the file.
    struct Extent: Equatable {
        var offset: UInt64
        var count: UInt64
    }

    /// A longer map is an attempt to exhaust memory and not a file of a root file system.
    static let maximumExtents = 1 << 20

    let extents: [Extent]

    /// Creates a map after checking it: ascending, without overlaps, inside the file, and as long as the stored data.
    init?(_ extents: [Extent], size: UInt64, stored: UInt64) {
        var end: UInt64 = 0
        var sum: UInt64 = 0
        for extent in extents {
            let (next, overflows) = extent.offset.addingReportingOverflow(extent.count)
            guard extent.offset >= end, !overflows, next <= size else { return nil }
            end = next
            sum += extent.count
        }
        guard sum == stored else { return nil }
        self.extents = extents.filter { $0.count > 0 }
    }

    /// Reads entries of old GNU headers: 12 bytes of offset and 12 of length each, ended by an empty one.
    static func extents(_ field: Slice<UnsafeRawBufferPointer>) -> [Extent]? {
        var result: [Extent] = []
        for start in stride(from: field.startIndex, to: field.endIndex, by: 24) {
            guard field[start] != 0 || field[start + 12] != 0 else { break }
            guard let offset = TarHeader.number(field[start..<(start + 12)]),
                let count = TarHeader.number(field[(start + 12)..<(start + 24)]), offset >= 0, count >= 0
            else { return nil }
            result.append(Extent(offset: UInt64(offset), count: UInt64(count)))
        }
        return result
    }

    /// Reads format 0.1's list of decimal numbers with commas between them; nil where something else is there.
    static func extents(listed text: ArraySlice<UInt8>) -> [Extent]? {
        var numbers: [UInt64] = []
        var rest = text
        while !rest.isEmpty {
            let digits = rest.prefix { $0 != UInt8(ascii: ",") }
            rest = rest[digits.endIndex...].dropFirst()
            guard let number = PaxRecords.number(digits).flatMap({ UInt64(exactly: $0) }),
                numbers.count < 2 * maximumExtents
            else { return nil }
            numbers.append(number)
        }
        return extents(pairing: numbers)
    }

    /// Pairs up numbers: offset, length, offset, length.
    static func extents(pairing numbers: [UInt64]) -> [Extent]? {
        guard numbers.count.isMultiple(of: 2), numbers.count / 2 <= maximumExtents else { return nil }
        return stride(from: 0, to: numbers.count, by: 2).map { Extent(offset: numbers[$0], count: numbers[$0 + 1]) }
    }
}

extension TarInput {
    /// Reads the blocks that follow an old GNU sparse header: 21 entries and a flag for one more block.
    func oldSparseMap(_ header: TarHeader) throws -> [SparseMap.Extent] {
        guard var extents = header.sparseMap else { throw damage("a sparse map is malformed") }
        var more = header.hasMoreSparse
        while more {
            let block = try requiredBlock()
            let next = block.withUnsafeBytes { SparseMap.extents($0[0..<504]) }
            guard let next else { throw damage("a sparse map is malformed") }
            guard extents.count < SparseMap.maximumExtents else { throw excess("a sparse map is too long") }
            extents += next
            more = block.withUnsafeBytes { $0[504] != 0 }
        }
        return extents
    }

    /// Reads the map GNU's sparse format 1.0 puts before the data: decimal numbers, one a line, the first of them the
    /// number of pairs; padded to whole blocks. Returns it with the number of bytes it took.
    func newSparseMap() throws -> (extents: [SparseMap.Extent], bytes: UInt64) {
        var numbers: [UInt64] = []
        var digits: [UInt8] = []
        var expected: UInt64?
        var bytes: UInt64 = 0
        while true {
            let block = try requiredBlock()
            bytes += UInt64(block.count)
            for byte in block.withUnsafeBytes({ Array($0) }) {
                guard byte == UInt8(ascii: "\n") else {
                    guard digits.count < 20 else { throw damage("a sparse map is malformed") }
                    digits.append(byte)
                    continue
                }
                guard let number = UInt64(String(decoding: digits, as: UTF8.self)) else {
                    throw damage("a sparse map is malformed")
                }
                digits = []
                if expected == nil {
                    guard number <= SparseMap.maximumExtents else { throw excess("a sparse map is too long") }
                    expected = number * 2
                } else {
                    numbers.append(number)
                }
                if numbers.count == expected.map(Int.init) {
                    guard let extents = SparseMap.extents(pairing: numbers) else {
                        throw damage("a sparse map is malformed")
                    }
                    return (extents, bytes)
                }
            }
        }
    }
}
