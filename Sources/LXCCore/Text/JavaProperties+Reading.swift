// SPDX-License-Identifier: Apache-2.0

extension JavaProperties {
    /// Reads a properties file.
    ///
    /// The bytes are ISO-8859-1 with `\uXXXX` escapes (java.util.Properties.load): `=`, `:` or white space separates key
    /// from value, an odd number of backslashes at the end of a line continues it, `#` and `!` start a comment line.
    ///
    /// - Throws: ``LXCError`` with code `corrupt` for a malformed `\uXXXX` escape, naming the line.
    public init(parsing bytes: some Sequence<UInt8>) throws {
        var lines = LogicalLines(Array(bytes))
        while let line = lines.next() {
            let (key, value) = try Self.split(line.text, number: line.number)
            self[key] = value
        }
    }

    private static func split(_ line: ArraySlice<UInt8>, number: Int) throws -> (String, String) {
        var index = line.startIndex
        while index < line.endIndex, !isSeparator(line[index]) {
            index += line[index] == UInt8(ascii: "\\") ? 2 : 1
        }
        let keyEnd = min(index, line.endIndex)
        var valueStart = keyEnd
        var hasSeparator = false
        while valueStart < line.endIndex {
            let byte = line[valueStart]
            if isBlank(byte) {
                valueStart += 1
            } else if !hasSeparator, byte == UInt8(ascii: "=") || byte == UInt8(ascii: ":") {
                hasSeparator = true
                valueStart += 1
            } else {
                break
            }
        }
        return try (unescape(line[..<keyEnd], line: number), unescape(line[valueStart...], line: number))
    }

    /// Turns escapes into characters. Java strings are UTF-16, so a pair of `\u` surrogates is one character.
    private static func unescape(_ bytes: ArraySlice<UInt8>, line: Int) throws -> String {
        var units: [UInt16] = []
        units.reserveCapacity(bytes.count)
        var rest = bytes
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\") else {
                units.append(UInt16(byte))
                continue
            }
            guard let escaped = rest.popFirst() else { break }
            switch escaped {
            case UInt8(ascii: "t"): units.append(0x09)
            case UInt8(ascii: "n"): units.append(0x0A)
            case UInt8(ascii: "f"): units.append(0x0C)
            case UInt8(ascii: "r"): units.append(0x0D)
            case UInt8(ascii: "u"):
                let digits = rest.prefix(4)
                rest = rest.dropFirst(4)
                guard digits.count == 4, digits.allSatisfy(\.isHexadecimalDigit),
                    let unit = UInt16(String(decoding: digits, as: UTF8.self), radix: 16)
                else {
                    throw LXCError(.corrupt, "line \(line) of the properties has a malformed \\uXXXX escape")
                }
                units.append(unit)
            default: units.append(UInt16(escaped))
            }
        }
        return String(decoding: units, as: UTF16.self)
    }

    private static func isSeparator(_ byte: UInt8) -> Bool {
        isBlank(byte) || byte == UInt8(ascii: "=") || byte == UInt8(ascii: ":")
    }

    fileprivate static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0C }
}

/// The lines of a properties file without comments and blank lines, with continued lines joined.
private struct LogicalLines {
    private let bytes: [UInt8]
    private var position = 0
    private var number = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// The next logical line and the number of its first line in the file.
    ///
    /// As in Java, a line of nothing but a continuation starts nothing: what follows it is a first line again, and a
    /// comment if it looks like one.
    mutating func next() -> (text: ArraySlice<UInt8>, number: Int)? {
        var joined: ArraySlice<UInt8> = []
        var start = 0
        while let line = natural() {
            if joined.isEmpty {
                guard let mark = line.first, mark != UInt8(ascii: "#"), mark != UInt8(ascii: "!") else { continue }
                start = number
            }
            joined += line
            guard Self.isContinued(line) else { return (joined, start) }
            joined.removeLast()
        }
        return joined.isEmpty ? nil : (joined, start)
    }

    /// One line of the file without its leading white space; `\r`, `\n` and `\r\n` all end it.
    private mutating func natural() -> ArraySlice<UInt8>? {
        guard position < bytes.count else { return nil }
        number += 1
        let end = bytes[position...].firstIndex { $0 == 0x0A || $0 == 0x0D } ?? bytes.count
        let line = bytes[position..<end].drop(while: JavaProperties.isBlank)
        let isPair = end + 1 < bytes.count && bytes[end] == 0x0D && bytes[end + 1] == 0x0A
        position = end + (isPair ? 2 : 1)
        return line
    }

    private static func isContinued(_ line: ArraySlice<UInt8>) -> Bool {
        line.reversed().prefix { $0 == UInt8(ascii: "\\") }.count % 2 == 1
    }
}
