/// Builds tar archives byte by byte, also such as no tar program would write.
public struct TarBuilder {
    /// The archive so far, without its end-of-archive marker.
    public private(set) var bytes: [UInt8] = []

    /// An empty archive.
    public init() {}

    /// Adds an entry: a header and contents.
    ///
    /// - Parameters:
    ///   - path: the name, cut at 100 bytes.
    ///   - type: the type flag, such as `0` file, `1` hard link, `2` symbolic link, `3` and `4` devices, `5` directory.
    ///   - data: the contents.
    ///   - size: what the header says of the contents' size; by default the truth.
    ///   - linkTarget: what a link names.
    ///   - mode: the mode bits.
    ///   - user: the owner.
    ///   - group: the owning group.
    ///   - modified: seconds since 1970.
    ///   - device: a device's numbers.
    public mutating func add(
        _ path: String, type: Character = "0", data: [UInt8] = [], size: UInt64? = nil, linkTarget: String = "",
        mode: UInt64 = 0o644, user: UInt64 = 0, group: UInt64 = 0, modified: UInt64 = 0,
        device: (major: UInt64, minor: UInt64) = (0, 0)
    ) {
        var header = [UInt8](repeating: 0, count: 512)
        func put(_ field: some Sequence<UInt8>, at offset: Int, length: Int) {
            for (index, byte) in field.prefix(length).enumerated() { header[offset + index] = byte }
        }
        put(path.utf8, at: 0, length: 100)
        put(Self.number(mode, digits: 7), at: 100, length: 8)
        put(Self.number(user, digits: 7), at: 108, length: 8)
        put(Self.number(group, digits: 7), at: 116, length: 8)
        put(Self.number(size ?? UInt64(data.count), digits: 11), at: 124, length: 12)
        put(Self.number(modified, digits: 11), at: 136, length: 12)
        put(String(repeating: " ", count: 8).utf8, at: 148, length: 8)
        put(String(type).utf8, at: 156, length: 1)
        put(linkTarget.utf8, at: 157, length: 100)
        put("ustar\u{0}00".utf8, at: 257, length: 8)
        put(Self.number(device.major, digits: 7), at: 329, length: 8)
        put(Self.number(device.minor, digits: 7), at: 337, length: 8)
        put(Self.number(header.reduce(0) { $0 + UInt64($1) }, digits: 6), at: 148, length: 8)
        bytes += header + data + [UInt8](repeating: 0, count: (512 - data.count % 512) % 512)
    }

    /// Adds a pax extended header, which says more of the entry added next.
    public mutating func addPax(_ records: [(key: String, value: [UInt8])]) {
        add("PaxHeaders/x", type: "x", data: records.flatMap { Self.record($0.key, $0.value) })
    }

    /// Adds a pax extended header of texts.
    public mutating func addPax(_ records: KeyValuePairs<String, String>) {
        addPax(records.map { (key: $0.key, value: Array($0.value.utf8)) })
    }

    /// The whole archive, with an end-of-archive marker of `markerBlocks` blocks.
    public func finish(markerBlocks: Int = 2) -> [UInt8] {
        bytes + [UInt8](repeating: 0, count: 512 * markerBlocks)
    }

    /// Octal digits and a NUL; base 256 as GNU has it where they do not suffice.
    private static func number(_ value: UInt64, digits: Int) -> [UInt8] {
        let octal = Array(String(value, radix: 8).utf8)
        if octal.count <= digits { return [UInt8](repeating: 0x30, count: digits - octal.count) + octal + [0] }
        let bytes = withUnsafeBytes(of: value.bigEndian) { Array($0) }
        return digits > 8 ? [0x80] + [UInt8](repeating: 0, count: digits - 8) + bytes : [0x80] + bytes[1...]
    }

    /// A record starts with its own length, the digits of which count too.
    private static func record(_ key: String, _ value: [UInt8]) -> [UInt8] {
        let rest = Array(" \(key)=".utf8) + value + [0x0a]
        var length = rest.count
        while length != rest.count + String(length).utf8.count { length = rest.count + String(length).utf8.count }
        return Array(String(length).utf8) + rest
    }
}
