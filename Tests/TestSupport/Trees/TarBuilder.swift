// SPDX-License-Identifier: Apache-2.0

/// Builds tar archives byte by byte, also such as no tar program writes.
public struct TarBuilder: Sendable {
    /// The archive so far, without its end marker.
    public private(set) var bytes: [UInt8] = []

    /// Starts an empty archive.
    public init() {}

    /// Adds an entry: a header with the name cut to its 100 bytes, then the data padded to whole blocks. The header
    /// tells the size of the data where no other is given. Numbers too large for octal digits are written in GNU's
    /// base 256.
    public mutating func add(
        _ name: String, type: Character = "0", mode: Int = 0o644, user: Int = 0, group: Int = 0, size: Int? = nil,
        modified: Int = 0, link: String = "", major: Int = 0, minor: Int = 0, data: [UInt8] = []
    ) {
        var header = [UInt8](repeating: 0, count: 512)
        let put = { (text: [UInt8], offset: Int, limit: Int, header: inout [UInt8]) in
            for (index, byte) in text.prefix(limit).enumerated() { header[offset + index] = byte }
        }
        put(Array(name.utf8), 0, 100, &header)
        put(Self.number(mode, 7), 100, 8, &header)
        put(Self.number(user, 7), 108, 8, &header)
        put(Self.number(group, 7), 116, 8, &header)
        put(Self.number(size ?? data.count, 11), 124, 12, &header)
        put(Self.number(modified, 11), 136, 12, &header)
        header[156] = type.asciiValue ?? 0
        put(Array(link.utf8), 157, 100, &header)
        put(Array("ustar\u{0}00".utf8), 257, 8, &header)
        put(Self.number(major, 7), 329, 8, &header)
        put(Self.number(minor, 7), 337, 8, &header)
        put([UInt8](repeating: UInt8(ascii: " "), count: 8), 148, 8, &header)
        put(Self.number(header.reduce(0) { $0 + Int($1) }, 6), 148, 7, &header)
        bytes += header + Self.padded(data)
    }

    /// Adds a pax header for the entry after it.
    public mutating func addPax(_ records: [(String, [UInt8])], type: Character = "x") {
        add("PaxHeaders/x", type: type, data: records.flatMap { Self.record($0.0, $0.1) })
    }

    /// Adds a pax header with text values.
    public mutating func addPax(_ records: KeyValuePairs<String, String>) {
        addPax(records.map { ($0.key, Array($0.value.utf8)) })
    }

    /// Adds bytes as they are.
    public mutating func addRaw(_ raw: [UInt8]) { bytes += raw }

    /// The archive with an end marker of so many blocks.
    public func finished(markerBlocks: Int = 2) -> [UInt8] {
        bytes + [UInt8](repeating: 0, count: 512 * markerBlocks)
    }

    /// Octal digits and a NUL; base 256 where they do not suffice.
    private static func number(_ value: Int, _ digits: Int) -> [UInt8] {
        let octal = Array(String(value, radix: 8).utf8)
        if value >= 0, octal.count <= digits {
            return [UInt8](repeating: UInt8(ascii: "0"), count: digits - octal.count) + octal + [0]
        }
        let bytes = withUnsafeBytes(of: value.bigEndian) { Array($0) }
        let filler: UInt8 = value < 0 ? 0xFF : 0
        let field = [UInt8](repeating: filler, count: max(0, digits + 1 - bytes.count)) + bytes
        return [field[0] | 0x80] + field.dropFirst()
    }

    private static func padded(_ data: [UInt8]) -> [UInt8] {
        data + [UInt8](repeating: 0, count: (512 - data.count % 512) % 512)
    }

    private static func record(_ keyword: String, _ value: [UInt8]) -> [UInt8] {
        let rest = Array(" \(keyword)=".utf8) + value + [UInt8(ascii: "\n")]
        var length = rest.count + 1
        while String(length).utf8.count + rest.count != length { length = String(length).utf8.count + rest.count }
        return Array(String(length).utf8) + rest
    }
}
