// SPDX-License-Identifier: Apache-2.0

import LXCCore

/// Writes what XDR (RFC 4506) makes of values.
struct XDRWriter {
    private(set) var bytes: [UInt8] = []

    mutating func put(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.bigEndian) { bytes += $0 }
    }

    /// Bytes with their number before them, filled up to a multiple of four.
    mutating func put(opaque value: some Collection<UInt8>) {
        put(UInt32(value.count))
        bytes += value
        bytes += [UInt8](repeating: 0, count: (4 - value.count % 4) % 4)
    }
}

/// Reads it.
struct XDRReader {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { rest = bytes[...] }

    /// Whether everything was read.
    var isAtEnd: Bool { rest.isEmpty }

    /// - Throws: `LXCError` `corrupt` where there is less.
    mutating func number<Number: FixedWidthInteger>(_ type: Number.Type) throws -> Number {
        try take(Number.bitWidth / 8).reduce(0) { $0 << 8 | Number($1) }
    }

    /// - Throws: `LXCError` `corrupt` where there is less.
    mutating func opaque() throws -> [UInt8] {
        let count = Int(try number(UInt32.self))
        let value = Array(try take(count))
        _ = try take((4 - count % 4) % 4)
        return value
    }

    private mutating func take(_ count: Int) throws -> ArraySlice<UInt8> {
        guard count <= rest.count else { throw NFSClient.senseless("GETATTR") }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count)
    }
}
