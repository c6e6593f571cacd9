// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore

/// The records of one pax extended header while they are put together, each `LENGTH KEYWORD=VALUE\n`.
///
/// Its memory serves one entry after the other.
struct PaxWriter {
    private(set) var bytes: [UInt8] = []
    private var digits: [UInt8] = []

    /// Whether there is no record.
    var isEmpty: Bool { bytes.isEmpty }

    /// Starts the next header.
    mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

    /// Adds a record. The keyword must not contain `=`.
    mutating func add(_ keyword: some Collection<UInt8>, _ value: some Collection<UInt8>) {
        // A blank, an equals sign and a newline; the length counts its own digits too.
        let rest = keyword.count + value.count + 3
        var length = rest + 1
        while rest + Self.digitCount(length) != length { length = rest + Self.digitCount(length) }
        bytes.reserveCapacity(bytes.count + length)
        append(UInt64(length))
        bytes.append(UInt8(ascii: " "))
        bytes.append(contentsOf: keyword)
        bytes.append(UInt8(ascii: "="))
        bytes.append(contentsOf: value)
        bytes.append(UInt8(ascii: "\n"))
    }

    /// Adds a record with a text.
    mutating func add(_ keyword: String, _ value: String) { add(keyword.utf8, value.utf8) }

    /// Adds a record with a number.
    mutating func add(_ keyword: String, _ number: UInt64) {
        digits.removeAll(keepingCapacity: true)
        Self.append(number, to: &digits)
        add(keyword.utf8, digits)
    }

    /// Adds a record with a time: seconds with as many decimals as it needs.
    mutating func add(_ keyword: String, _ time: Timestamp) {
        digits.removeAll(keepingCapacity: true)
        Self.append(time, to: &digits)
        add(keyword.utf8, digits)
    }

    private mutating func append(_ number: UInt64) { Self.append(number, to: &bytes) }

    /// Adds a decimal number to `output`.
    static func append(_ number: UInt64, to output: inout [UInt8]) {
        var unit: UInt64 = 1
        while number / unit >= 10 { unit *= 10 }
        while unit > 0 {
            output.append(UInt8(ascii: "0") + UInt8(number / unit % 10))
            unit /= 10
        }
    }

    /// A quarter of a second before -1 is -1.25: the sign holds for the fraction too.
    private static func append(_ time: Timestamp, to output: inout [UInt8]) {
        var nanoseconds = time.nanoseconds
        var seconds = time.seconds.magnitude
        if time.seconds < 0 {
            output.append(UInt8(ascii: "-"))
            if nanoseconds > 0 {
                seconds -= 1
                nanoseconds = 1_000_000_000 - nanoseconds
            }
        }
        append(seconds, to: &output)
        guard nanoseconds > 0 else { return }
        output.append(UInt8(ascii: "."))
        var unit: UInt32 = 100_000_000
        while nanoseconds > 0 {
            output.append(UInt8(ascii: "0") + UInt8(nanoseconds / unit))
            nanoseconds %= unit
            unit /= 10
        }
    }

    private static func digitCount(_ number: Int) -> Int {
        var count = 1
        var rest = number
        while rest >= 10 {
            rest /= 10
            count += 1
        }
        return count
    }
}
