// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The addresses a download must not connect to, because the service there may be meant for this host or its own
/// network alone: the special-purpose registries of IANA (RFC 6890 and its successors).
enum AddressRules {
    /// A range of addresses: the leading bits of `bytes`.
    private struct Range {
        let bytes: [UInt8]
        let bits: Int
        let name: String

        init(_ bytes: [UInt8], _ bits: Int, _ name: String) { (self.bytes, self.bits, self.name) = (bytes, bits, name) }

        func contains(_ address: [UInt8]) -> Bool {
            (0..<bits).allSatisfy { bit in
                let mask = UInt8(0x80) >> UInt8(bit % 8)
                let expected = bit / 8 < bytes.count ? bytes[bit / 8] : 0
                return address[bit / 8] & mask == expected & mask
            }
        }
    }

    private static let version4 = [
        Range([0], 8, "unspecified"), Range([10], 8, "private"), Range([100, 64], 10, "shared"),
        Range([127], 8, "loopback"), Range([169, 254], 16, "link-local"), Range([172, 16], 12, "private"),
        Range([192, 0, 0], 24, "reserved"), Range([192, 0, 2], 24, "for documentation"),
        Range([192, 88, 99], 24, "reserved"), Range([192, 168], 16, "private"), Range([198, 18], 15, "for benchmarks"),
        Range([198, 51, 100], 24, "for documentation"), Range([203, 0, 113], 24, "for documentation"),
        Range([224], 4, "multicast"), Range([240], 4, "reserved"),
    ]

    private static let version6 = [
        Range([], 128, "unspecified"), Range([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 128, "loopback"),
        Range([0xFE, 0x80], 10, "link-local"), Range([0xFE, 0xC0], 10, "site-local"), Range([0xFC], 7, "unique-local"),
        Range([0xFF], 8, "multicast"), Range([0x20, 0x01, 0x0D, 0xB8], 32, "for documentation"),
        Range([0x3F, 0xFF], 20, "for documentation"), Range([0x20, 0x01, 0, 0], 23, "reserved"),
    ]

    /// Ranges whose addresses embed an IPv4 address, and its first byte: mapped (RFC 4291), compatible (its
    /// forerunner), translated (RFC 6052), 6to4 (RFC 3056).
    private static let carriers = [
        (Range([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF], 96, ""), 12), (Range([], 96, ""), 12),
        (Range([0, 0x64, 0xFF, 0x9B], 96, ""), 12), (Range([0x20, 0x02], 16, ""), 2),
    ]

    /// Why an address of 4 or 16 bytes is refused, as in `a … address`; `nil` if it is allowed.
    static func refusal(of address: [UInt8]) -> String? {
        switch address.count {
        case 4: return version4.first { $0.contains(address) }?.name
        case 16:
            if let range = version6.first(where: { $0.contains(address) }) { return range.name }
            if let (_, start) = carriers.first(where: { $0.0.contains(address) }) {
                return refusal(of: Array(address[start..<start + 4]))
            }
            // Everything that is routed begins with these three bits.
            return Range([0x20], 3, "").contains(address) ? nil : "reserved"
        default: return "unknown"
        }
    }

    /// The address in a socket address of `family`; nil for another family than the internet's two.
    static func address(family: CInt, _ bytes: UnsafeRawBufferPointer) -> [UInt8]? {
        switch family {
        case AF_INET: internetAddress(bytes, at: MemoryLayout<sockaddr_in>.offset(of: \.sin_addr), count: 4)
        case AF_INET6: internetAddress(bytes, at: MemoryLayout<sockaddr_in6>.offset(of: \.sin6_addr), count: 16)
        default: nil
        }
    }

    private static func internetAddress(_ bytes: UnsafeRawBufferPointer, at offset: Int?, count: Int) -> [UInt8]? {
        guard let offset, bytes.count >= offset + count else { return nil }
        return Array(bytes[offset..<offset + count])
    }
}
