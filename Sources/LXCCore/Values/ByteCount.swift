// SPDX-License-Identifier: Apache-2.0

/// A number of bytes.
///
/// libvirt counts memory in KiB, CloudStack volumes in bytes and NIC rates in megabits; holding them in one type keeps
/// the units apart.
public struct ByteCount: Hashable, Sendable, Codable, Comparable, CustomStringConvertible {
    /// The number of bytes.
    public var bytes: UInt64

    /// Creates a byte count from a number of bytes.
    public init(_ bytes: UInt64) { self.bytes = bytes }

    /// `count` × 1024 bytes, or the most a value holds where that is more: a document's number must neither wrap to a
    /// small limit nor trap.
    public static func kibibytes(_ count: UInt64) -> Self { saturating(count, 1 << 10) }
    /// `count` × 1024² bytes, or the most a value holds.
    public static func mebibytes(_ count: UInt64) -> Self { saturating(count, 1 << 20) }
    /// `count` × 1024³ bytes, or the most a value holds.
    public static func gibibytes(_ count: UInt64) -> Self { saturating(count, 1 << 30) }

    private static func saturating(_ count: UInt64, _ unit: UInt64) -> Self {
        let (bytes, overflow) = count.multipliedReportingOverflow(by: unit)
        return Self(overflow ? .max : bytes)
    }

    /// Whole KiB, rounded up: the unit of libvirt's `<memory>`.
    public var kibibytes: UInt64 { bytes / 1024 + (bytes % 1024 == 0 ? 0 : 1) }

    /// Reads `512MiB`, `2 GiB`, `1024` (bytes), `4K`: a whole number and an optional binary unit.
    ///
    /// - Throws: ``LXCError`` with code `invalidArgument` for anything else, also for numbers beyond 64 bits.
    public init(parsing text: String) throws {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let unit = text.dropFirst(digits.count).drop { $0 == " " }.lowercased()
        guard let number = UInt64(digits), let shift = Self.shifts[unit],
            number <= UInt64.max >> UInt64(shift)
        else {
            throw LXCError(
                .invalidArgument,
                "\"\(text.escapedForDisplay)\" is not a size; expected a whole number and one of B, KiB, MiB, GiB, TiB")
        }
        bytes = number << UInt64(shift)
    }

    private static let shifts: [String: Int] = [
        "": 0, "b": 0, "k": 10, "kib": 10, "m": 20, "mib": 20, "g": 30, "gib": 30, "t": 40, "tib": 40,
    ]

    /// The size in the largest unit that leaves at least one, with one decimal: `1.5 GiB`.
    public var description: String {
        var units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"][...]
        guard bytes >= 1024, var unit = units.popFirst() else { return "\(bytes) B" }
        var value = Double(bytes) / 1024
        var tenths = Int((value * 10).rounded())
        // A value that rounds to 1024.0 of a unit is shown as 1.0 of the next.
        while tenths >= 10240, let next = units.popFirst() {
            value /= 1024
            tenths = Int((value * 10).rounded())
            unit = next
        }
        return "\(tenths / 10).\(tenths % 10) \(unit)"
    }

    /// Orders by size.
    public static func < (left: Self, right: Self) -> Bool { left.bytes < right.bytes }

    /// Reads a number of bytes.
    public init(from decoder: any Decoder) throws {
        bytes = try UInt64(from: decoder)
    }

    /// Writes the number of bytes.
    public func encode(to encoder: any Encoder) throws {
        try bytes.encode(to: encoder)
    }
}
