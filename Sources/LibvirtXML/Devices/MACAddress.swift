// SPDX-License-Identifier: Apache-2.0

import LXCCore

/// The hardware address of one network interface: six bytes, never a multicast address.
public struct MACAddress: Hashable, Sendable, Codable, CustomStringConvertible {
    /// The address as a number below 2⁴⁸, the first byte in the highest bits.
    public let value: UInt64

    /// Reads six bytes in hexadecimal, separated by colons or dashes.
    ///
    /// - Throws: `LXCError` with code `invalidArgument` when `text` is no such address, names a group of interfaces
    ///   (the lowest bit of the first byte) or is all zeros.
    public init(_ text: String) throws {
        let separator: Character = text.contains("-") ? "-" : ":"
        let parts = text.split(separator: separator, omittingEmptySubsequences: false)
        let bytes = parts.compactMap { part -> UInt64? in
            part.utf8.count == 2 && part.utf8.allSatisfy(\.isHexadecimalDigit) ? UInt64(part, radix: 16) : nil
        }
        guard parts.count == 6, bytes.count == 6 else {
            throw LXCError(
                .invalidArgument,
                "\"\(text.escapedForDisplay)\" is not a MAC address; expected six bytes, as 02:00:4c:3b:00:01")
        }
        try self.init(value: bytes.reduce(0) { $0 << 8 | $1 })
    }

    /// Creates an address from a number and checks it.
    ///
    /// - Throws: `LXCError` with code `invalidArgument` when the number is zero, needs more than 48 bits or names a
    ///   group of interfaces.
    public init(value: UInt64) throws {
        self.value = value
        guard value >> 48 == 0, value != 0, value >> 40 & 1 == 0 else {
            throw LXCError(
                .invalidArgument,
                "\(Self.text(of: value)) cannot be the MAC address of one network interface; use "
                    + "one whose first byte is even, as 02:00:4c:3b:00:01")
        }
    }

    /// A locally administered address (first byte 02) made from 40 bits. Its first byte is not the FE that libvirt
    /// reserves for the host's end of a cable.
    package init(locallyAdministered bits: UInt64) { value = 0x02 << 40 | bits & 0xff_ffff_ffff }

    /// The address in lower case, separated by colons.
    public var description: String { Self.text(of: value) }

    /// Reads and checks the text form.
    public init(from decoder: any Decoder) throws {
        try self.init(String(from: decoder))
    }

    /// Writes the text form.
    public func encode(to encoder: any Encoder) throws {
        try description.encode(to: encoder)
    }

    private static func text(of value: UInt64) -> String {
        stride(from: 40, through: 0, by: -8)
            .map { shift in
                let byte = String(value >> UInt64(shift) & 0xff, radix: 16)
                return byte.utf8.count == 2 ? byte : "0" + byte
            }
            .joined(separator: ":")
    }
}
