// SPDX-License-Identifier: Apache-2.0

import LXCCore

/// The hashed lines behind a tree's digest, entry by entry, kept to find the entries that have changed.
///
/// As text it has a line for each entry, sorted by path: 64 hexadecimal digits, a blank, and the path with `\\` for a
/// backslash and `\n` for a line break, below a first line that names the version of the digest.
public struct TreeManifest: Hashable, Sendable {
    /// A difference between two trees at one path.
    public struct Difference: Hashable, Sendable, Codable, CustomStringConvertible {
        /// In what way.
        public enum Kind: String, Sendable, Codable {
            /// The entry is gone.
            case missing
            /// There was no such entry.
            case added
            /// Attributes, contents or the set of other names differ.
            case changed
        }

        /// In what way.
        public var kind: Kind
        /// The path, escaped for a log line.
        public var path: String

        /// The way and the path.
        public var description: String { "\(kind.rawValue) \(path)" }
    }

    /// The largest number of entries for which a manifest is kept; larger trees have only the digest.
    public static let maximumEntries = 1_000_000
    /// The largest total length of paths in bytes for which a manifest is kept.
    static let maximumPathBytes = 32 << 20

    /// In ascending order of the paths.
    private let lines: ManifestLines

    /// Creates a tree manifest from the lines of a tree, in any order.
    init(_ lines: ManifestLines) { self.lines = lines.sorted() }

    /// The digest of the tree.
    public var digest: TreeDigest {
        let records = (0..<lines.count).map {
            ManifestRecord(name: Hash(of: Array(lines.path($0))), record: lines.record($0))
        }
        var digest = TreeDigest.Accumulator()
        for record in records.sorted() { digest.add(record) }
        return digest.finish()
    }

    /// The changes that make this tree out of the one `old` describes, ordered by path.
    public func differences(from old: TreeManifest) -> [Difference] {
        var differences: [Difference] = []
        var (mine, theirs) = (0, 0)
        let add = { (kind: Difference.Kind, lines: ManifestLines, index: Int) in
            let path = TreePath(trusted: Array(lines.path(index)))
            differences.append(Difference(kind: kind, path: path.description))
        }
        while mine < lines.count || theirs < old.lines.count {
            let order =
                mine == lines.count
                ? 1 : theirs == old.lines.count ? -1 : lines.compare(mine, with: old.lines, theirs)
            if order < 0 {
                add(.added, lines, mine)
            } else if order > 0 {
                add(.missing, old.lines, theirs)
            } else if lines.record(mine) != old.lines.record(theirs) {
                add(.changed, lines, mine)
            }
            if order <= 0 { mine += 1 }
            if order >= 0 { theirs += 1 }
        }
        return differences
    }

    // MARK: As text

    private static let heading = EntryRecord.version
    private static let newline = UInt8(ascii: "\n")
    private static let backslash = UInt8(ascii: "\\")

    /// The text.
    public var text: [UInt8] {
        var text = Self.heading
        text.reserveCapacity(text.count + lines.count * 66 + lines.pathBytes)
        for index in 0..<lines.count {
            text += TreeDigest(bytes: lines.record(index).bytes).description.utf8
            text.append(UInt8(ascii: " "))
            for byte in lines.path(index) {
                switch byte {
                case Self.newline: text += [Self.backslash, UInt8(ascii: "n")]
                case Self.backslash: text += [Self.backslash, Self.backslash]
                default: text.append(byte)
                }
            }
            text.append(Self.newline)
        }
        return text
    }

    /// Reads the text.
    ///
    /// - Throws: `LXCError` `corrupt` for anything that is not the text of a manifest.
    public init(parsing text: [UInt8]) throws {
        guard text.starts(with: Self.heading), text.last == Self.newline else { throw Self.damage(line: 1) }
        var lines = ManifestLines()
        var last: TreePath?
        var rest = text.dropFirst(Self.heading.count)
        while !rest.isEmpty {
            let line = rest.prefix { $0 != Self.newline }
            rest = rest[line.endIndex...].dropFirst()
            // Blank lines are ignored.
            if line.isEmpty { continue }
            let number = lines.count + 2
            guard let digest = try? TreeDigest(parsing: String(decoding: line.prefix(64), as: UTF8.self)),
                line.count > 64, line[line.startIndex + 64] == UInt8(ascii: " "),
                let name = Self.unescaped(line.dropFirst(65)), let path = name.isEmpty ? .root : try? TreePath(name),
                path.bytes == name, last.map({ $0 < path }) != false
            else { throw Self.damage(line: number) }
            lines.append(path.bytes, Hash(digest))
            last = path
        }
        self.lines = lines
    }

    private static func unescaped(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        var result: [UInt8] = []
        var rest = text
        while let byte = rest.popFirst() {
            guard byte == backslash else {
                result.append(byte)
                continue
            }
            switch rest.popFirst() {
            case UInt8(ascii: "n"): result.append(newline)
            case backslash: result.append(backslash)
            default: return nil
            }
        }
        return result
    }

    private static func damage(line: Int) -> LXCError {
        LXCError(.corrupt, "line \(line) of a tree's manifest cannot be understood; restore it or remove it")
    }
}
