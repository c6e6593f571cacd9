public import LXCCore

/// What a copy did.
public struct TreeSummary: Hashable, Sendable {
    /// How many entries of each kind.
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

    /// How many entries of each kind.
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
    /// What source or destination could not hold.
    public var losses = TreeLosses()
    /// How contents were written: `write`, `copy_file_range`, `reflink`, `snapshot`.
    public var strategy = ""
    /// How long it took.
    public var duration: Duration = .zero

    /// All zero.
    public init() {}

    /// Adds what the records of the tree say.
    mutating func take(_ records: ManifestRecords, _ options: TreeCopyOptions) throws {
        counts = records.counts
        guard options.computesDigest else { return }
        digest = try records.digest()
        manifest = records.manifest()
    }
}

/// What a copy left out, counted by kind, with the first paths of each kind.
///
/// What is kept is bounded whatever was lost: beyond ``TreeLosses/maximumKinds`` what is left is counted as `other`, and
/// long names are cut.
public struct TreeLosses: Hashable, Sendable, Codable {
    /// One kind of loss.
    public struct Loss: Hashable, Sendable, Codable {
        /// How often.
        public var count: UInt64
        /// The first paths, at most ``TreeLosses/examples``.
        public var paths: [String]
    }

    /// How many paths are kept for each kind.
    public static let examples = 20

    /// How many kinds are counted separately.
    public static let maximumKinds = 100
    private static let otherKind = "other"
    /// How long a kind, and a path among the examples, may be in characters.
    private static let maximumLength = 1_024

    /// The losses by kind, such as `socket`, `device`, `xattr:security.selinux`, `acl`.
    public private(set) var kinds: [String: Loss] = [:]

    /// None.
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
