// SPDX-License-Identifier: Apache-2.0

import LXCCore
import OpenSSL

/// One line of a tree's canonical manifest: a name and its entry, both as hashes.
struct ManifestRecord: BitwiseCopyable, Comparable {
    /// The hash of the path.
    let name: Hash
    /// The hash of the entry's ``EntryRecord``.
    let record: Hash

    static func < (left: Self, right: Self) -> Bool { left.name < right.name }
}

/// All lines of a tree's manifest, in any order, and the number of entries of each kind.
struct ManifestRecords {
    private(set) var counts = TreeSummary.Counts()
    /// Nil where no digest is wanted.
    private var sorters: [SpillSorter<ManifestRecord>]?
    /// The paths with their records, where they are kept.
    private var lines: ManifestLines?

    /// Creates an empty set of records. With `keepsPaths` it yields a ``manifest()``.
    init(hashes: Bool, keepsPaths: Bool) {
        sorters = hashes ? [SpillSorter()] : nil
        lines = keepsPaths ? ManifestLines() : nil
    }

    /// Adds an entry that is the only name of its inode, or the first of several.
    mutating func add(_ path: TreePath?, _ name: Hash, _ record: Hash, _ kind: EntryKind) throws {
        try append(path, name, record)
        switch kind {
        case .directory: counts.directories += 1
        case .file: counts.files += 1
        case .symbolicLink: counts.symbolicLinks += 1
        case .device: counts.devices += 1
        case .fifo: counts.fifos += 1
        }
    }

    /// Adds one of several names of an inode: the smallest represents the inode, with the record `record`; the others
    /// are links to it.
    mutating func add(
        _ path: TreePath?, _ name: Hash, smallest: Hash, _ record: Hash, _ kind: EntryKind
    ) throws {
        if name == smallest { return try add(path, name, record, kind) }
        counts.hardLinks += 1
        try append(path, name, EntryRecord.link(to: smallest))
    }

    /// Adds what another thread collected.
    mutating func merge(_ other: ManifestRecords) {
        if let more = other.sorters { sorters = (sorters ?? []) + more }
        if let more = other.lines, lines != nil {
            lines?.append(more)
            dropLinesBeyondLimits()
        } else {
            lines = nil
        }
        counts.add(other.counts)
    }

    /// The digest of the tree these are all lines of; nil where it is not wanted.
    func digest() throws -> TreeDigest? {
        guard let sorters else { return nil }
        var digest = TreeDigest.Accumulator()
        try SpillSorter.forEach(of: sorters) { digest.add($0) }
        return digest.finish()
    }

    /// The lines with their paths; nil where those were not kept, or are too many.
    func manifest() -> TreeManifest? { lines.map { TreeManifest($0) } }

    private mutating func append(_ path: TreePath?, _ name: Hash, _ record: Hash) throws {
        try sorters?[0].add(ManifestRecord(name: name, record: record))
        guard let path, lines != nil else { return }
        lines?.append(path.bytes, record)
        dropLinesBeyondLimits()
    }

    private mutating func dropLinesBeyondLimits() {
        guard let lines else { return }
        if lines.count > TreeManifest.maximumEntries || lines.pathBytes > TreeManifest.maximumPathBytes {
            self.lines = nil
        }
    }
}

extension TreeDigest {
    /// A digest on its way; lines come in ascending order of their names.
    struct Accumulator {
        private var hash = MessageDigest(.sha256)

        /// Starts with the line that names the version.
        init() { hash.update(data: EntryRecord.version) }

        /// Adds a line.
        mutating func add(_ line: ManifestRecord) {
            line.name.withUnsafeBytes { hash.update(bufferPointer: $0) }
            line.record.withUnsafeBytes { hash.update(bufferPointer: $0) }
        }

        /// The digest of the tree with these lines.
        func finish() -> TreeDigest { TreeDigest(bytes: Array(hash.finalize())) }
    }
}

/// The type of an entry's inode, where its other properties do not matter.
enum EntryKind: UInt8, BitwiseCopyable {
    case directory, file, symbolicLink, device, fifo

    /// The kind of an entry; the target of a hard link counts as a file.
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
