import LXCCore

/// SHA-256 over a tree's canonical manifest: the same for an archive, the directory it was unpacked to and every
/// lossless clone of that, in whatever order the entries come.
public struct TreeDigest: Hashable, Sendable, Codable, CustomStringConvertible {
    /// A part of a tree that a digest can leave out, because not every destination holds it.
    public enum Part: String, CaseIterable, Hashable, Sendable, Codable {
        /// Extended attributes, ACLs and file capabilities, which NFSv3 does not know.
        case attributes
        /// Modification times of symbolic links, which some NFS servers do not keep.
        case linkTimes
    }

    /// The 32 bytes.
    public let bytes: [UInt8]

    package init(bytes: [UInt8]) { self.bytes = bytes }

    /// 64 hexadecimal digits in lower case.
    public var description: String {
        bytes.hexadecimal
    }

    /// Reads 64 hexadecimal digits.
    ///
    /// - Throws: `LXCError` `invalidArgument` for anything else.
    public init(parsing text: String) throws {
        let digits = Array(text.utf8)
        let bytes = stride(from: 0, to: digits.count - 1, by: 2).compactMap {
            UInt8(String(decoding: digits[$0...($0 + 1)], as: UTF8.self), radix: 16)
        }
        // The number parser takes a sign, which is no digit.
        let areDigits = digits.allSatisfy { Character(Unicode.Scalar($0)).isHexDigit }
        guard digits.count == 64, areDigits, bytes.count == 32 else {
            throw LXCError(.invalidArgument, "\"\(text.escapedForDisplay)\" is not a digest of 64 hexadecimal digits")
        }
        self.bytes = bytes
    }

    /// Reads the hexadecimal text.
    public init(from decoder: any Decoder) throws {
        try self.init(parsing: String(from: decoder))
    }

    /// Writes the hexadecimal text.
    public func encode(to encoder: any Encoder) throws {
        try description.encode(to: encoder)
    }
}
