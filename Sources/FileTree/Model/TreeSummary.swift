// SPDX-License-Identifier: Apache-2.0

public import LXCCore

/// The result of a copy.
public struct TreeSummary: Hashable, Sendable {
    /// The number of entries of each kind.
    public struct Counts: Hashable, Sendable, Codable {
        /// Directories, the root among them.
        public var directories: UInt64 = 0
        /// Regular files, hard links to them not counted again.
        public var files: UInt64 = 0
        /// Symbolic links.
        public var symbolicLinks: UInt64 = 0
        /// Further names of files.
        public var hardLinks: UInt64 = 0
        /// Character and block devices.
        public var devices: UInt64 = 0
        /// FIFOs.
        public var fifos: UInt64 = 0

        /// All zero.
        public init() {}

        /// The sum.
        public var total: UInt64 { directories + files + symbolicLinks + hardLinks + devices + fifos }
    }

    /// The number of entries of each kind.
    public var counts = Counts()
    /// Sum of the files' sizes, holes included.
    public var logicalBytes = ByteCount(0)
    /// Sum of the bytes really present in files.
    public var allocatedBytes = ByteCount(0)
    /// The digest of the tree as it was read, with owners as they are inside the container.
    public var digest: TreeDigest?
    /// The entries the digest is made of, where `TreeCopyOptions.keepsManifest` asked for them and there are no more than
    /// ``TreeManifest/maximumEntries``.
    public var manifest: TreeManifest?
    /// The parts that the source or the destination could not hold.
    public var losses = TreeLosses()
    /// The way contents were written: `write`, `copy_file_range`, `reflink`, `snapshot`.
    public var strategy = ""
    /// The duration of the copy.
    public var duration: Duration = .zero

    /// All zero.
    public init() {}

    /// Adds the counts, digest and manifest of a tree's records.
    mutating func take(_ records: ManifestRecords, _ options: TreeCopyOptions) throws {
        counts = records.counts
        guard options.computesDigest else { return }
        digest = try records.digest()
        manifest = records.manifest()
    }
}

/// The parts a copy left out, counted by kind, with the first paths of each kind.
///
/// The memory is bounded, whatever was lost: beyond ``TreeLosses/maximumKinds`` further kinds are counted as `other`,
/// and long names are cut.
public struct TreeLosses: Hashable, Sendable, Codable {
    /// One kind of loss.
    public struct Loss: Hashable, Sendable, Codable {
        /// The number of losses.
        public var count: UInt64
        /// The first paths, at most ``TreeLosses/examples``.
        public var paths: [String]
    }

    /// The number of paths kept for each kind.
    public static let examples = 20

    /// The number of kinds counted separately.
    public static let maximumKinds = 100
    private static let otherKind = "other"
    /// The maximum length of a kind, and of a path among the examples, in characters.
    private static let maximumLength = 1_024

    /// The losses by kind, such as `socket`, `device`, `xattr:security.selinux`, `acl`.
    public private(set) var kinds: [String: Loss] = [:]

    /// Creates an empty list.
    public init() {}

    /// Whether nothing was lost.
    public var isEmpty: Bool { kinds.isEmpty }

    /// Counts one loss.
    public mutating func add(_ kind: String, _ path: TreePath) {
        let kind = self.kind(kind)
        var loss = kinds[kind] ?? Loss(count: 0, paths: [])
        loss.count += 1
        if loss.paths.count < Self.examples { loss.paths.append(Self.cut(path.description)) }
        kinds[kind] = loss
    }

    /// The kind a loss is counted under.
    private func kind(_ kind: String) -> String {
        let kind = Self.cut(kind)
        return kinds[kind] != nil || kinds.count < Self.maximumKinds ? kind : Self.otherKind
    }

    private static func cut(_ text: String) -> String {
        text.utf8.count <= maximumLength ? text : text.prefix(maximumLength) + "…"
    }

    /// The error of a lossless copy that lost something.
    ///
    /// - Throws: `LXCError` `lossRefused`.
    func refuse() throws {
        guard let (kind, loss) = kinds.min(by: { $0.key < $1.key }) else { return }
        throw LXCError(
            .lossRefused,
            "\"\(loss.paths.first ?? "")\" cannot be copied whole (\(kind.escapedForDisplay)); allow losses to go on")
    }

    /// Adds all losses of another value.
    public mutating func merge(_ other: TreeLosses) {
        for (name, theirs) in other.kinds.sorted(by: { $0.key < $1.key }) {
            let kind = self.kind(name)
            let mine = kinds[kind] ?? Loss(count: 0, paths: [])
            kinds[kind] = Loss(
                count: mine.count + theirs.count, paths: Array((mine.paths + theirs.paths).prefix(Self.examples)))
        }
    }
}
