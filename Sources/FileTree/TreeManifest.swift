import LXCCore

/// What a tree's digest is made of, entry by entry: kept to find out later which entries of a tree have changed.
///
/// As text it has a line for each entry, sorted by path: 64 hexadecimal digits, a blank, and the path with `\\` for a
/// backslash and `\n` for a line break, below a first line that names the version of the digest.
public struct TreeManifest: Hashable, Sendable {
    /// How two trees differ at one path.
    public struct Difference: Hashable, Sendable, Codable, CustomStringConvertible {
        /// In what way.
        public enum Kind: String, Sendable, Codable {
            /// The entry is gone.
            case missing
            /// There was no such entry.
            case added
            /// Attributes or contents are not the same, or not the same other names lead to them.
            case changed
        }

        /// In what way.
        public var kind: Kind
        /// Where, as text fit for a log line.
        public var path: String

        /// The way and the path.
        public var description: String { "\(kind.rawValue) \(path)" }
    }

    /// How many entries a manifest is kept for; beyond, only the digest is.
    public static let maximumEntries = 1_000_000

    private struct Line: Hashable {
        let path: TreePath
        let record: Hash
    }

    private let lines: [Line]

    /// Takes the records of a tree, in any order.
    init(_ records: some Sequence<(path: TreePath, record: Hash)>) {
        lines = records.map { Line(path: $0.path, record: $0.record) }.sorted { $0.path < $1.path }
    }

    /// The digest of the tree.
    public var digest: TreeDigest {
        TreeDigest(of: lines.map { ManifestRecord(name: Hash(of: $0.path.bytes), record: $0.record) })
    }

    /// What must be done to the tree `old` describes to get this one, ordered by path.
    public func differences(from old: TreeManifest) -> [Difference] {
        var differences: [Difference] = []
        var (mine, theirs) = (lines[...], old.lines[...])
        let add = { (kind: Difference.Kind, line: Line) in
            differences.append(Difference(kind: kind, path: line.path.description))
        }
        while let line = mine.first, let other = theirs.first {
            if line.path < other.path {
                add(.added, line)
                mine.removeFirst()
            } else if other.path < line.path {
                add(.missing, other)
                theirs.removeFirst()
            } else {
                if line.record != other.record { add(.changed, line) }
                mine.removeFirst()
                theirs.removeFirst()
            }
        }
        for line in mine { add(.added, line) }
        for other in theirs { add(.missing, other) }
        return differences
    }

    // MARK: As text

    private static let heading = EntryRecord.version
    private static let newline = UInt8(ascii: "\n")
    private static let backslash = UInt8(ascii: "\\")

    /// The text.
    public var text: [UInt8] {
        var text = Self.heading
        text.reserveCapacity(lines.count * 100)
        for line in lines {
            text += TreeDigest(bytes: line.record.bytes).description.utf8
            text.append(UInt8(ascii: " "))
            for byte in line.path.bytes {
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
    /// - Throws: `LXCError` `corrupt` for anything that ``text`` does not give.
    public init(parsing text: [UInt8]) throws {
        guard text.starts(with: Self.heading), text.last == Self.newline else { throw Self.damage(line: 1) }
        var lines: [Line] = []
        for line in text.dropFirst(Self.heading.count).split(separator: Self.newline) {
            let number = lines.count + 2
            guard let digest = try? TreeDigest(parsing: String(decoding: line.prefix(64), as: UTF8.self)),
                line.count > 64, line[line.startIndex + 64] == UInt8(ascii: " "),
                let name = Self.unescaped(line.dropFirst(65)), let path = name.isEmpty ? .root : try? TreePath(name),
                path.bytes == name, lines.last.map({ $0.path < path }) != false
            else { throw Self.damage(line: number) }
            lines.append(Line(path: path, record: Hash(digest)))
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
