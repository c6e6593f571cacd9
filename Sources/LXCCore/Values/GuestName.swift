// SPDX-License-Identifier: Apache-2.0

/// The name of a container or system VM: libvirt's domain name, CloudStack's instance name (`i-2-3-VM`).
///
/// 1 to 63 bytes of `[A-Za-z0-9._-]`, not starting with a dot or a dash: safe as a host name, a file name and a
/// program argument, so no later layer has to escape it.
public struct GuestName: Hashable, Sendable, Codable, Comparable, CustomStringConvertible {
    /// The text of the name.
    public let description: String

    /// Creates a name from text and checks it.
    ///
    /// - Throws: ``LXCError`` with code `invalidArgument` when the name breaks the rule above.
    public init(_ text: String) throws {
        let bytes = text.utf8
        let fits = (1...63).contains(bytes.count) && bytes.allSatisfy(Self.isAllowed)
        guard fits, bytes.first != UInt8(ascii: "."), bytes.first != UInt8(ascii: "-") else {
            throw LXCError(
                .invalidArgument,
                "\"\(text.escapedForDisplay)\" cannot name a container: use 1 to 63 of A-Z a-z 0-9 "
                    + ". _ - and start with a letter, a digit or _")
        }
        description = text
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    /// Orders by text.
    public static func < (left: Self, right: Self) -> Bool { left.description < right.description }

    /// Reads and checks the text.
    public init(from decoder: any Decoder) throws {
        try self.init(String(from: decoder))
    }

    /// Writes the text.
    public func encode(to encoder: any Encoder) throws {
        try description.encode(to: encoder)
    }
}
