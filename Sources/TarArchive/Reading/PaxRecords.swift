// SPDX-License-Identifier: Apache-2.0

import FileTree
import Glibc
import LXCCore

/// The records of pax extended headers that hold for an entry.
///
/// Entries have a handful: they stay in the bytes they came in, and are looked for one by one. Records unknown to
/// this package, such as comments, are skipped.
struct PaxRecords {
    private struct Record {
        var keyword: Range<Int>
        var value: Range<Int>
    }

    private var bytes: [UInt8] = []
    private var records: [Record] = []
    /// The map of GNU's sparse format 0.0, which repeats its keywords.
    private(set) var sparseNumbers: [UInt64] = []
    /// The records for all entries, shared by them.
    private var general: General?

    private final class General {
        let records: PaxRecords
        init(_ records: PaxRecords) { self.records = records }
    }

    init() {}

    /// The number of records.
    var count: Int { records.count + sparseNumbers.count }
    /// The size of the records in bytes.
    var byteCount: Int { bytes.count }

    /// Adds a header's records, each `LENGTH KEYWORD=VALUE\n` with the length counting all of it; what later headers say
    /// replaces what earlier ones said. False when one is malformed.
    mutating func merge(_ header: [UInt8]) -> Bool {
        var position = bytes.count
        if bytes.isEmpty { bytes = header } else { bytes += header }
        // Some writers count the padding in.
        while position < bytes.count, bytes[position] != 0 {
            guard let length = add(at: position) else { return false }
            position += length
        }
        return bytes[position...].allSatisfy { $0 == 0 }
    }

    /// These records for one entry combined with the global ones, which come last.
    func above(_ global: PaxRecords) -> PaxRecords {
        guard global.count > 0 else { return self }
        var records = self
        records.general = global.general ?? General(global)
        return records
    }

    /// Releases replaced and skipped records, and makes these the records that apply to all entries.
    mutating func compact() {
        var seen: Set<ArraySlice<UInt8>> = []
        let kept = records.reversed().filter { seen.insert(bytes[$0.keyword]).inserted }
        var compact = PaxRecords()
        for record in kept.reversed() { compact.append(bytes[record.keyword], bytes[record.value]) }
        compact.sparseNumbers = sparseNumbers
        compact.general = General(compact)
        self = compact
    }

    /// Calls `body` for every record in sequence, including replaced ones; global ones first.
    func forEach(_ body: (_ keyword: ArraySlice<UInt8>, _ value: ArraySlice<UInt8>) -> Void) {
        general?.records.forEach(body)
        for record in records { body(bytes[record.keyword], bytes[record.value]) }
    }

    /// The value of a keyword; an empty one cancels an earlier header's.
    subscript(_ keyword: StaticString) -> ArraySlice<UInt8>? {
        (find(keyword) ?? general?.records.find(keyword)).flatMap { $0.isEmpty ? nil : $0 }
    }

    private func find(_ keyword: StaticString) -> ArraySlice<UInt8>? {
        let found = bytes.withUnsafeBytes { bytes in records.last { bytes.isEqual($0.keyword, keyword) } }
        return found.map { bytes[$0.value] }
    }

    /// The value of a keyword as text.
    func text(_ keyword: StaticString) -> String? { self[keyword].map { String(decoding: $0, as: UTF8.self) } }

    /// The value of a keyword as a decimal number, or `nil`; without the keyword the header's value.
    func number(_ keyword: StaticString, orElse header: Int64?) -> Int64? {
        guard let value = self[keyword] else { return header }
        return Self.number(value)
    }

    /// The value of a keyword as a number of bytes; `nil` if it is not a number, or missing.
    func size(_ keyword: StaticString) -> UInt64? { number(keyword, orElse: nil).flatMap { UInt64(exactly: $0) } }

    /// Reads the record that begins at `start`. Returns its length, or `nil` if it is malformed.
    private mutating func add(at start: Int) -> Int? {
        var length = 0
        var space = start
        while space < bytes.count, let digit = Self.digit(bytes[space]) {
            length = length * 10 + Int(digit)
            space += 1
            guard length <= bytes.count else { return nil }
        }
        let end = start + length - 1
        guard end > space, end < bytes.count, bytes[space] == UInt8(ascii: " "), bytes[end] == UInt8(ascii: "\n"),
            let equals = bytes[(space + 1)..<end].firstIndex(of: UInt8(ascii: "="))
        else { return nil }
        let record = Record(keyword: (space + 1)..<equals, value: (equals + 1)..<end)
        guard let isOffset = Self.sparseKeyword(bytes[record.keyword]) else {
            if bytes.withUnsafeBytes({ Self.isKnown(record.keyword, in: $0) }) { records.append(record) }
            return length
        }
        guard let number = Self.number(bytes[record.value]).flatMap({ UInt64(exactly: $0) }),
            isOffset == sparseNumbers.count.isMultiple(of: 2)
        else { return nil }
        sparseNumbers.append(number)
        return length
    }

    private mutating func append(_ keyword: ArraySlice<UInt8>, _ value: ArraySlice<UInt8>) {
        let start = bytes.count
        bytes += keyword
        let middle = bytes.count
        bytes += value
        records.append(Record(keyword: start..<middle, value: middle..<bytes.count))
    }

    /// The keywords that mean something, and the beginnings of the vendors' own.
    private static let keywords: [StaticString] = ["path", "linkpath", "size", "uid", "gid", "mtime"]
    private static let vendors: [StaticString] = ["SCHILY.", "LIBARCHIVE.", "RHT.", "GNU."]

    private static func isKnown(_ keyword: Range<Int>, in bytes: UnsafeRawBufferPointer) -> Bool {
        keywords.contains { bytes.isEqual(keyword, $0) }
            || vendors.contains { vendor in
                let start = keyword.prefix(vendor.utf8CodeUnitCount)
                return bytes.isEqual(start, vendor)
            }
    }

    /// Whether a keyword is the offset, or the length, of a stretch in a sparse map; nil when it is something else.
    private static func sparseKeyword(_ keyword: ArraySlice<UInt8>) -> Bool? {
        guard keyword.first == UInt8(ascii: "G") else { return nil }
        if keyword.elementsEqual("GNU.sparse.offset".utf8) { return true }
        return keyword.elementsEqual("GNU.sparse.numbytes".utf8) ? false : nil
    }
}

// MARK: - Numbers

extension PaxRecords {
    private static func digit(_ byte: UInt8) -> UInt8? {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) ? byte - UInt8(ascii: "0") : nil
    }

    /// A decimal number, with a sign perhaps.
    static func number(_ text: ArraySlice<UInt8>) -> Int64? {
        let isNegative = text.first == UInt8(ascii: "-")
        let digits = isNegative || text.first == UInt8(ascii: "+") ? text.dropFirst() : text
        guard !digits.isEmpty else { return nil }
        var result: Int64 = 0
        for byte in digits {
            guard let digit = digit(byte) else { return nil }
            let (product, overflows) = result.multipliedReportingOverflow(by: 10)
            let (sum, passes) = product.addingReportingOverflow(isNegative ? -Int64(digit) : Int64(digit))
            guard !overflows, !passes else { return nil }
            result = sum
        }
        return result
    }

    /// A decimal number of seconds, with a fraction and a sign perhaps.
    static func time(_ text: ArraySlice<UInt8>) -> Timestamp? {
        let point = text.firstIndex(of: UInt8(ascii: ".")) ?? text.endIndex
        let whole = text[..<point]
        let isNegative = whole.first == UInt8(ascii: "-")
        guard let seconds = whole.isEmpty || whole.elementsEqual("-".utf8) ? 0 : number(whole) else { return nil }
        var nanoseconds: UInt32 = 0
        var unit: UInt32 = 100_000_000
        for byte in text[point...].dropFirst() {
            guard let digit = digit(byte) else { return nil }
            nanoseconds += UInt32(digit) * unit
            unit /= 10
        }
        guard isNegative, nanoseconds > 0 else { return Timestamp(seconds: seconds, nanoseconds: nanoseconds) }
        // -1.25 is a quarter of a second before -1.
        let (below, overflows) = seconds.subtractingReportingOverflow(1)
        return overflows ? nil : Timestamp(seconds: below, nanoseconds: 1_000_000_000 - nanoseconds)
    }
}

extension UnsafeRawBufferPointer {
    /// Whether the bytes in a range are those of a text.
    func isEqual(_ range: Range<Int>, _ text: StaticString) -> Bool {
        let bytes = self[range]
        guard bytes.count == text.utf8CodeUnitCount, let start = baseAddress else { return false }
        return memcmp(start + bytes.startIndex, text.utf8Start, bytes.count) == 0
    }
}
