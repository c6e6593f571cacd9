// SPDX-License-Identifier: Apache-2.0

extension Sequence<UInt8> {
    /// Two hexadecimal digits in lower case for each byte.
    package var hexadecimal: String {
        map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}

extension UInt8 {
    /// Whether the byte is a hexadecimal digit in ASCII.
    package var isHexadecimalDigit: Bool { hexadecimalValue != nil }

    /// The value of a hexadecimal digit in ASCII; nil for any other byte.
    package var hexadecimalValue: UInt8? {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): self - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): self - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): self - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

/// Hexadecimal digits as text.
package enum Hexadecimal {
    /// Reads pairs of digits in either case; nil for any other text.
    package static func decode(_ text: some StringProtocol) -> [UInt8]? {
        let values = text.utf8.compactMap(\.hexadecimalValue)
        guard values.count == text.utf8.count, values.count.isMultiple(of: 2) else { return nil }
        return stride(from: 0, to: values.count, by: 2).map { values[$0] << 4 | values[$0 + 1] }
    }
}

/// The encoding of bytes in URLs (RFC 3986, section 2.1).
package enum PercentEncoding {
    /// Replaces each `%xx` with its byte; nil where two hexadecimal digits are missing after a `%`.
    package static func decode(_ encoded: some Sequence<UInt8>) -> [UInt8]? {
        var bytes: [UInt8] = []
        var rest = encoded.makeIterator()
        while let byte = rest.next() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.next()?.hexadecimalValue, let low = rest.next()?.hexadecimalValue else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes
    }
}
