// SPDX-License-Identifier: Apache-2.0

import LXCCore
import LinuxSystem

/// Inodes with several names, as a walk meets them.
struct LinkTable {
    /// One inode.
    struct Group: BitwiseCopyable, Sendable {
        /// The place of the path of the first name, which represents the inode at the destination.
        let first: UInt64
        var record = Hash.zero
        var kind = EntryKind.file
        /// Whether it was read.
        var isRead = false
        /// Whether the destination has it.
        var isMade = false
    }

    private var numbers = SpillTable<FileStatus.Identity, UInt32>()
    private var groups = SpillArray<Group>()
    private var names = LinkNames()

    /// Records a name; returns whether it is the first.
    mutating func enter(_ identity: FileStatus.Identity, _ path: TreePath, _ hash: Hash) throws -> Bool {
        if let number = try numbers.value(of: identity) {
            try names.add(path, hash, inode: number)
            return false
        }
        let number = UInt32(truncatingIfNeeded: groups.count)
        try groups.append(Group(first: names.add(path, hash, inode: number)))
        try numbers.set(identity, number)
        return true
    }

    /// Records the state of the inode.
    mutating func complete(
        _ identity: FileStatus.Identity, _ record: Hash, _ kind: EntryKind, isMade: Bool
    ) throws {
        guard let number = try numbers.value(of: identity) else { return }
        var group = try groups.element(at: Int(number))
        group.record = record
        group.kind = kind
        group.isRead = true
        group.isMade = isMade
        try groups.replace(Int(number), with: group)
    }

    /// A name with the known state of its inode.
    struct Name {
        let path: TreePath
        let hash: Hash
        /// The hash of the bytewise smallest name of the inode.
        let smallest: Hash
        let group: Group
        /// Whether it was met first.
        let isFirst: Bool
    }

    /// Calls `body` for every name, those of one inode after each other.
    func forEach(_ body: (Name) throws -> Void) throws {
        try names.forEach(where: { _ in true }) { name, smallest in
            let group = try groups.element(at: Int(name.inode))
            try body(
                Name(
                    path: names.path(at: name.path), hash: name.hash, smallest: smallest, group: group,
                    isFirst: name.path == group.first))
        }
    }

    /// The name of an inode that was met first.
    func first(of group: Group) throws -> TreePath { try names.path(at: group.first) }
}

/// The combined findings of a walk's threads.
struct LocalWalkResult {
    private(set) var records: ManifestRecords
    var losses = TreeLosses()
    private(set) var strategy = "write"

    init(_ workers: [LocalWalkWorker], _ options: TreeCopyOptions) {
        records = ManifestRecords(hashes: options.computesDigest, keepsPaths: options.keepsManifest)
        for worker in workers {
            records.merge(worker.records)
            losses.merge(worker.losses)
        }
        if workers.contains(where: \.contents.copied) { strategy = "copy_file_range" }
        if workers.contains(where: \.contents.shared) { strategy = "reflink" }
    }

    /// Makes the hard links and adds their records. Names of inodes that could not be read or made are lost with them.
    mutating func take(_ links: LinkTable, _ writer: EntryWriter?, _ cancellation: Cancellation) throws {
        try links.forEach { name in
            try cancellation.check()
            guard name.group.isRead else {
                if !name.isFirst { losses.add("vanished", name.path) }
                return
            }
            try records.add(name.path, name.hash, smallest: name.smallest, name.group.record, name.group.kind)
            if name.isFirst { return }
            if name.group.isMade || writer == nil {
                try writer?.makeLink(name.path, to: links.first(of: name.group))
            } else {
                losses.add("device", name.path)
            }
        }
    }
}

/// Directories a walk has met and not read yet, beyond those its threads were given: kept in a file once there are many.
struct WalkBacklog {
    /// The maximum number of directories given to the threads, and the number below which they get more.
    static let maximumWaiting = 4_096
    static let minimumWaiting = 1_024

    private var log = DirectoryLog()
    private var places = SpillArray<UInt64>()
    /// The number of `places` not read yet.
    private var count = 0

    /// Adds a directory.
    mutating func push(_ entry: TreeEntry) throws {
        let place = try log.append(entry)
        if count < places.count {
            try places.replace(count, with: place)
        } else {
            try places.append(place)
        }
        count += 1
    }

    /// Removes and returns the directory added last; `nil` if there is none.
    mutating func pop() throws -> TreeEntry? {
        guard count > 0 else { return nil }
        count -= 1
        return try log.entry(at: places.element(at: count))
    }
}
