// SPDX-License-Identifier: Apache-2.0

import LXCCore

/// SHA-256 over a tree's canonical manifest: equal for an archive, the directory unpacked from it and every lossless
/// clone of that, whatever the order of entries.
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
    public var description: String { bytes.hexadecimal }

    /// Reads 64 hexadecimal digits.
    ///
    /// - Throws: `LXCError` `invalidArgument` for anything else.
    public init(parsing text: String) throws {
        guard let bytes = Hexadecimal.decode(text), bytes.count == 32 else {
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
