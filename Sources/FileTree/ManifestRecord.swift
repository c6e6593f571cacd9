import LXCCore
import OpenSSL

/// One line of a tree's canonical manifest: a name and what it stands for, both as hashes.
struct ManifestRecord {
    /// The hash of the path.
    let name: Hash
    /// The hash of what ``EntryRecord`` says of the entry.
    let record: Hash
}

/// All lines of a tree's manifest, in any order, and how many entries of each kind there are.
struct ManifestRecords {
    private(set) var counts = TreeSummary.Counts()
    private var records: [ManifestRecord] = []
    /// The paths of `records`, where they are kept.
    private var paths: [TreePath] = []
    private let keepsPaths: Bool

    /// None. With `keepsPaths` there will be a ``manifest()``.
    init(keepsPaths: Bool) { self.keepsPaths = keepsPaths }

    /// Adds an entry that is the only name of its inode, or the first of several.
    mutating func add(_ path: TreePath?, _ name: Hash, _ record: Hash, _ kind: EntryKind) {
        append(path, name, record)
        switch kind {
        case .directory: counts.directories += 1
        case .file: counts.files += 1
        case .symbolicLink: counts.symbolicLinks += 1
        case .device: counts.devices += 1
        case .fifo: counts.fifos += 1
        }
    }

    /// Adds the names of one inode: the smallest stands for the inode, the others for links to it.
    mutating func add(_ names: [(path: TreePath, hash: Hash)], _ record: Hash, _ kind: EntryKind) {
        guard let first = names.min(by: { $0.path < $1.path }) else { return }
        add(first.path, first.hash, record, kind)
        for name in names where name.path != first.path {
            counts.hardLinks += 1
            append(name.path, name.hash, EntryRecord.link(to: first.hash))
        }
    }

    /// Adds what another thread collected.
    mutating func merge(_ other: ManifestRecords) {
        records += other.records
        paths += other.paths
        counts.add(other.counts)
    }

    /// The digest of the tree these are all lines of.
    func digest() -> TreeDigest { TreeDigest(of: records) }

    /// The lines with their paths; nil where those were not kept, or are too many.
    func manifest() -> TreeManifest? {
        guard keepsPaths, paths.count == records.count else { return nil }
        return TreeManifest(zip(paths, records).lazy.map { (path: $0, record: $1.record) })
    }

    private mutating func append(_ path: TreePath?, _ name: Hash, _ record: Hash) {
        records.append(ManifestRecord(name: name, record: record))
        if keepsPaths, let path, paths.count < TreeManifest.maximumEntries { paths.append(path) }
    }
}

extension TreeDigest {
    /// The digest of a tree all of whose lines these are, in any order.
    init(of records: [ManifestRecord]) {
        var hash = MessageDigest(.sha256)
        hash.update(data: EntryRecord.version)
        for line in records.sorted(by: { $0.name < $1.name }) {
            line.name.withUnsafeBytes { hash.update(bufferPointer: $0) }
            line.record.withUnsafeBytes { hash.update(bufferPointer: $0) }
        }
        self.init(bytes: Array(hash.finalize()))
    }
}

/// What kind of inode an entry is, where nothing else of it matters.
enum EntryKind {
    case directory, file, symbolicLink, device, fifo

    /// The kind of an entry; what a hard link leads to is taken for a file.
    init(_ entry: TreeEntry) {
        switch entry.kind {
        case .directory: self = .directory
        case .file, .hardLink: self = .file
        case .symbolicLink: self = .symbolicLink
        case .characterDevice, .blockDevice: self = .device
        case .fifo: self = .fifo
        }
    }
}

extension TreeSummary.Counts {
    fileprivate mutating func add(_ other: Self) {
        directories += other.directories
        files += other.files
        symbolicLinks += other.symbolicLinks
        hardLinks += other.hardLinks
        devices += other.devices
        fifos += other.fifos
    }
}
