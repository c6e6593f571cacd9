// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Paths with the records of their entries, packed: 36 bytes a line and the path itself.
struct ManifestLines: Hashable, Sendable {
    private var records: [Hash] = []
    /// All paths one after the other, and where each ends.
    private var paths: [UInt8] = []
    private var ends: [UInt32] = []

    /// No lines.
    init() {}

    /// The number of lines.
    var count: Int { records.count }
    /// The total length of all paths in bytes.
    var pathBytes: Int { paths.count }

    /// Adds a line. There is room for 4 GiB of paths.
    mutating func append(_ path: some Collection<UInt8>, _ record: Hash) {
        paths += path
        ends.append(UInt32(truncatingIfNeeded: paths.count))
        records.append(record)
    }

    /// Adds all lines of another.
    mutating func append(_ other: ManifestLines) {
        let start = UInt32(truncatingIfNeeded: paths.count)
        records += other.records
        paths += other.paths
        ends += other.ends.lazy.map { $0 + start }
    }

    /// The path of a line.
    func path(_ index: Int) -> ArraySlice<UInt8> { paths[range(index)] }

    /// The record of a line.
    func record(_ index: Int) -> Hash { records[index] }

    /// The lines in ascending order of their paths.
    func sorted() -> ManifestLines {
        var order = (0..<UInt32(count)).map { $0 }
        paths.withUnsafeBytes { bytes in
            order.sort { Self.compare(bytes, range(Int($0)), bytes, range(Int($1))) < 0 }
        }
        var result = ManifestLines()
        result.records.reserveCapacity(count)
        result.ends.reserveCapacity(count)
        result.paths.reserveCapacity(paths.count)
        for index in order { result.append(path(Int(index)), record(Int(index))) }
        return result
    }

    /// Compares the path of a line with that of a line of `other`: negative when it comes first, 0 when both are the same.
    func compare(_ index: Int, with other: ManifestLines, _ otherIndex: Int) -> Int {
        paths.withUnsafeBytes { mine in
            other.paths.withUnsafeBytes { theirs in
                Self.compare(mine, range(index), theirs, other.range(otherIndex))
            }
        }
    }

    private func range(_ index: Int) -> Range<Int> { (index == 0 ? 0 : Int(ends[index - 1]))..<Int(ends[index]) }

    private static func compare(
        _ left: UnsafeRawBufferPointer, _ leftRange: Range<Int>, _ right: UnsafeRawBufferPointer,
        _ rightRange: Range<Int>
    ) -> Int {
        let common = min(leftRange.count, rightRange.count)
        if common > 0, let left = left.baseAddress, let right = right.baseAddress {
            let order = memcmp(left + leftRange.lowerBound, right + rightRange.lowerBound, common)
            if order != 0 { return Int(order) }
        }
        return leftRange.count - rightRange.count
    }
}
