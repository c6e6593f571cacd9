import FileTree

/// The records of pax extended headers that hold for an entry.
struct PaxRecords {
    /// Values by keyword; what later headers say replaces what earlier ones said.
    private(set) var values: [[UInt8]: [UInt8]] = [:]
    /// The map of GNU's sparse format 0.0, which repeats its keywords.
    private(set) var sparseNumbers: [UInt64] = []

    init() {}

    /// Whether there is none.
    var isEmpty: Bool { values.isEmpty && sparseNumbers.isEmpty }

    /// Adds a header's records, each `LENGTH KEYWORD=VALUE\n` with the length counting all of it. False when one is
    /// malformed.
    mutating func merge(_ bytes: [UInt8]) -> Bool {
        var rest = bytes[...]
        // Some writers count the padding in.
        while let first = rest.first, first != 0 {
            guard let space = rest.prefix(21).firstIndex(of: UInt8(ascii: " ")),
                let length = Int(String(decoding: rest[..<space], as: UTF8.self)), length > space - rest.startIndex,
                length <= rest.count, rest[rest.startIndex + length - 1] == UInt8(ascii: "\n")
            else { return false }
            let record = rest[(space + 1)..<(rest.startIndex + length - 1)]
            guard let equals = record.firstIndex(of: UInt8(ascii: "=")), add(record[..<equals], record[(equals + 1)...])
            else { return false }
            rest = rest.dropFirst(length)
        }
        return rest.allSatisfy { $0 == 0 }
    }

    /// Adds records that hold for one entry to those that hold for all.
    mutating func merge(_ other: PaxRecords) {
        values.merge(other.values) { $1 }
        sparseNumbers += other.sparseNumbers
    }

    /// The value of a keyword; an empty one takes back what an earlier header said.
    subscript(_ keyword: String) -> [UInt8]? { values[Array(keyword.utf8)].flatMap { $0.isEmpty ? nil : $0 } }

    /// The value of a keyword as text.
    func text(_ keyword: String) -> String? { self[keyword].map { String(decoding: $0, as: UTF8.self) } }

    private mutating func add(_ keyword: ArraySlice<UInt8>, _ value: ArraySlice<UInt8>) -> Bool {
        if keyword.elementsEqual("GNU.sparse.offset".utf8) || keyword.elementsEqual("GNU.sparse.numbytes".utf8) {
            let isOffset = keyword.last == UInt8(ascii: "t")
            guard let number = UInt64(String(decoding: value, as: UTF8.self)),
                isOffset == sparseNumbers.count.isMultiple(of: 2)
            else { return false }
            sparseNumbers.append(number)
        } else {
            values[Array(keyword)] = Array(value)
        }
        return true
    }

    /// A decimal number of seconds, with a fraction and a sign perhaps.
    static func time(_ text: String) -> TreeEntry.Time? {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let whole = parts.first, let seconds = Int64(whole == "-" || whole.isEmpty ? "0" : String(whole)) else {
            return nil
        }
        let fraction = parts.count == 2 ? parts[1] : ""
        guard fraction.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
        let digits = fraction.prefix(9)
        guard let nanoseconds = UInt32(digits + String(repeating: "0", count: 9 - digits.count)) else { return nil }
        guard whole.hasPrefix("-"), nanoseconds > 0 else {
            return TreeEntry.Time(seconds: seconds, nanoseconds: nanoseconds)
        }
        // -1.25 is a quarter of a second before -1.
        let (below, overflows) = seconds.subtractingReportingOverflow(1)
        return overflows ? nil : TreeEntry.Time(seconds: below, nanoseconds: 1_000_000_000 - nanoseconds)
    }
}
