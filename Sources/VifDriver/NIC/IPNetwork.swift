// SPDX-License-Identifier: Apache-2.0

import Glibc
import LXCCore

/// An IPv4 or IPv6 address, or a network of them: `10.1.2.3`, `10.1.0.0/16`, `2001:db8::/32`.
public struct IPNetwork: Hashable, Sendable {
    /// The two versions of IP.
    public enum Version: Hashable, Sendable {
        /// 32 bits.
        case v4
        /// 128 bits.
        case v6

        var bits: Int { self == .v4 ? 32 : 128 }
    }

    /// The address's version.
    public let version: Version
    /// The address's bytes, 4 or 16; those beyond the prefix are zero.
    public let bytes: [UInt8]
    /// The number of bits of the network.
    public let prefixLength: Int

    /// Every address of a version: `0.0.0.0/0` or `::/0`.
    public static func any(_ version: Version) -> IPNetwork {
        IPNetwork(version, [UInt8](repeating: 0, count: version.bits / 8), 0)
    }

    private init(_ version: Version, _ bytes: [UInt8], _ prefixLength: Int) {
        self.version = version
        self.bytes = bytes.enumerated().map { index, byte in
            let kept = min(8, max(0, prefixLength - index * 8))
            return kept == 0 ? 0 : byte & (0xFF << UInt8(8 - kept))
        }
        self.prefixLength = prefixLength
    }

    /// Reads an address, or an address and a prefix length.
    ///
    /// - Throws: `LXCError` `invalidArgument`.
    public init(parsing text: String) throws {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        let version: Version = parts[0].contains(":") ? .v6 : .v4
        var bytes = [UInt8](repeating: 0, count: version.bits / 8)
        let family = version == .v4 ? AF_INET : AF_INET6
        let prefix = parts.count == 1 ? version.bits : Self.number(parts[1])
        guard !text.utf8.contains(0), inet_pton(family, String(parts[0]), &bytes) == 1,
            let prefix, (0...version.bits).contains(prefix)
        else {
            throw LXCError(
                .invalidArgument,
                "\"\(text.escapedForDisplay)\" is not an IP address or network; write it as 10.1.2.3, 10.1.0.0/16 or "
                    + "2001:db8::/32")
        }
        self.init(version, bytes, prefix)
    }

    /// Digits alone; `Int` accepts signs as well.
    private static func number(_ text: Substring) -> Int? {
        text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ? Int(text) : nil
    }

    /// Whether it is one address.
    public var isAddress: Bool { prefixLength == version.bits }

    /// The address without the prefix length.
    public var address: String {
        var text = [CChar](repeating: 0, count: 46)
        inet_ntop(version == .v4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count))
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}

extension IPNetwork: CustomStringConvertible {
    /// The shortest form; a single address without its prefix length.
    public var description: String { isAddress ? address : "\(address)/\(prefixLength)" }
}

extension IPNetwork: Codable {
    /// Reads and checks the text.
    public init(from decoder: any Decoder) throws { try self.init(parsing: String(from: decoder)) }

    /// Writes the text.
    public func encode(to encoder: any Encoder) throws { try description.encode(to: encoder) }
}
