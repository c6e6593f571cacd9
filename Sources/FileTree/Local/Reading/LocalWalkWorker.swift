// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import LXCCore
import LinuxSystem
import Synchronization

/// One thread of a ``LocalWalk``.
final class LocalWalkWorker {
    private let tree: LocalWalkTree
    private let reader: LocalEntryReader
    private let writer: EntryWriter?
    private let source: PathDescent
    private(set) var contents: ContentMover
    private(set) var records: ManifestRecords
    /// The clone of the directory in work.
    private var made: Descriptor?
    /// Whether the directory in work has names that are made at the end, which change its time.
    private var hasLinks = false

    /// Creates a worker on the shared state.
    init(_ tree: LocalWalkTree) {
        self.tree = tree
        reader = LocalEntryReader(root: tree.status, cancellation: tree.cancellation)
        writer = tree.target.map { EntryWriter($0, ownsThread: true) }
        contents = ContentMover(tree)
        source = PathDescent(root: tree.root.raw, tree.resolution)
        records = ManifestRecords(hashes: tree.options.computesDigest, keepsPaths: tree.options.keepsManifest)
    }

    var losses: TreeLosses {
        var all = reader.losses
        if let writer { all.merge(writer.losses) }
        return all
    }

    /// Reads a directory, makes its entries, and gives its subdirectories to the crew.
    func visit(_ work: LocalWalkWork, _ crew: WorkCrew<LocalWalkWork, LocalWalkWorker>) throws {
        tree.begin()
        try read(work, crew)
        try tree.refill(crew)
    }

    private func read(_ work: LocalWalkWork, _ crew: WorkCrew<LocalWalkWork, LocalWalkWorker>) throws {
        try tree.cancellation.check()
        let opened = source.open(work.path, flags: O_RDONLY | clinux_o_directory)
        guard let directory = opened, let status = FileStatus(of: directory.raw) else {
            guard errno != EXDEV else { throw LocalEntryReader.mountPoint(work.path) }
            // The directory above has a name for it already: it is taken for an empty one.
            guard errno == ENOENT || errno == ENOTDIR || errno == ELOOP else {
                throw LXCError.lastSystemCall("openat2", "read \"\(work.path)\"")
            }
            errno = ENOENT
            try reader.lose(work.path, ifVanished: "openat2")
            return try finish(record(work.entry).outside, made: nil)
        }
        try reader.requireSameMount(status, work.path)
        guard let entry = try reader.entry(work.path, .directory, status, .descriptor(directory.raw)) else {
            return try finish(record(work.entry).outside, made: nil)
        }
        var names = DirectoryNames()
        if let found = DirectoryNames(reading: directory.raw, limit: DirectoryNames.stretch) {
            names = found
        } else {
            try reader.lose(work.path, ifVanished: "getdents64")
        }
        made = try openMade(work.path)
        defer { made = nil }
        let outside = try record(entry).outside
        if tree.isInPlace { try writer?.change(entry, to: outside, of: .descriptor(directory.raw)) }
        let (source, target) = (directory.raw, made?.raw)
        hasLinks = false
        while true {
            let below: LocalWalkWork?? = try names.withNext { name in
                try visit(name, work.path.appending(name.bytes), in: source, made: target)
            }
            if let below {
                if let below { try tree.give(below, to: crew) }
            } else if names.isComplete {
                break
            } else if !names.readOn(directory.raw) {
                try reader.lose(work.path, ifVanished: "getdents64")
                break
            }
        }
        try finish(outside, made: target)
    }

    /// Opens the directory's clone, which the directory above has made.
    private func openMade(_ path: TreePath) throws -> Descriptor? {
        guard let writer, !tree.isInPlace else { return nil }
        guard let opened = writer.open(path, flags: O_RDONLY | clinux_o_directory) else {
            throw LXCError.lastSystemCall("openat2", "open the directory \"\(path)\" again")
        }
        return opened
    }

    /// Sets a directory's attributes, now or, where something has still to be done below, at the end.
    private func finish(_ entry: TreeEntry, made: CInt?) throws {
        guard let writer, !tree.isInPlace else { return }
        // Without privilege a directory can be passed only as long as its mode lets its owner do so.
        let mayPass = geteuid() == 0 || entry.mode & 0o100 != 0
        guard let made, !entry.path.isRoot, !hasLinks, mayPass else {
            if entry.path.isRoot { return tree.unfinishedRoot.withLock { $0 = entry } }
            return try tree.unfinished.withLock { try $0.add(entry) }
        }
        try writer.apply(entry, to: made, made: nil)
    }

    /// Makes the object of a name; a directory's contents are returned as further work.
    private func visit(
        _ name: DirectoryNames.Name, _ path: TreePath, in directory: CInt, made: CInt?
    ) throws -> LocalWalkWork? {
        // A regular file is asked everything when it is open.
        if name.type == CInt(DT_REG) {
            try visitFile(name.pointer, path, in: directory, made: made)
            return nil
        }
        guard let status = try reader.status(name.pointer, in: directory, path) else { return nil }
        switch status.type {
        case S_IFDIR:
            if let made { try writer?.makeDirectory(path, name.pointer, in: made) }
            return LocalWalkWork(path: path, status: status)
        case S_IFREG: try visitFile(name.pointer, path, in: directory, made: made)
        default:
            guard try isFirst(status, path),
                let entry = try reader.special(name.pointer, in: directory, path, status)
            else { return nil }
            let (inside, outside) = try record(entry, isAlone: status.links == 1)
            var isMade = true
            if tree.isInPlace { try writer?.change(entry, to: outside, of: .name(name.pointer, in: directory)) }
            if let made, let writer { isMade = try writer.makeSpecial(outside, name.pointer, in: made) }
            try complete(status, inside, contents: nil, isMade: isMade)
        }
        return nil
    }

    private func visitFile(_ name: UnsafePointer<CChar>, _ path: TreePath, in directory: CInt, made: CInt?) throws {
        guard let (file, status) = try reader.openFile(name, in: directory, path), try isFirst(status, path),
            let entry = try reader.entry(path, .file(size: status.size), status, .descriptor(file.descriptor.raw))
        else { return }
        let (inside, outside) = try map(entry)
        var hash: Hash?
        if let made, let writer {
            let (raw, mode) = try writer.makeFile(outside, name, in: made)
            let clone = Descriptor(adopting: raw)
            hash = try contents.move(file, of: entry, size: status.size, to: clone.raw)
            try writer.apply(outside, to: clone.raw, made: mode)
        } else {
            hash = try contents.move(file, of: entry, size: status.size, to: nil)
            if tree.isInPlace { try writer?.change(entry, to: outside, of: .descriptor(file.descriptor.raw)) }
        }
        if status.links == 1 { try add(inside, contents: hash) }
        try complete(status, inside, contents: hash, isMade: true)
    }

    // MARK: Records

    /// Records a name of an inode with several; returns whether it represents the inode.
    private func isFirst(_ status: FileStatus, _ path: TreePath) throws -> Bool {
        guard status.links > 1 else { return true }
        let hash = Hash(of: path.bytes)
        guard try !tree.links.withLock({ try $0.enter(status.identity, path, hash) }) else { return true }
        hasLinks = true
        let link = TreeEntry(path: path, kind: .hardLink(to: path), mode: 0)
        try tree.accounting.withLock { try $0.count(link) }
        return false
    }

    private func complete(_ status: FileStatus, _ inside: TreeEntry, contents: Hash?, isMade: Bool) throws {
        guard status.links > 1 else { return }
        let record = EntryRecord(inside.omitting(tree.options.digestOmits), contents: contents).hash
        try tree.links.withLock { try $0.complete(status.identity, record, EntryKind(inside), isMade: isMade) }
    }

    private func map(_ entry: TreeEntry) throws -> (inside: TreeEntry, outside: TreeEntry) {
        try tree.accounting.withLock { try $0.count(entry) }
        let inside = try tree.mapping.inside(entry)
        return (inside, try tree.mapping.outside(inside))
    }

    private func record(_ entry: TreeEntry, isAlone: Bool = true) throws -> (inside: TreeEntry, outside: TreeEntry) {
        let entries = try map(entry)
        if isAlone { try add(entries.inside, contents: nil) }
        return entries
    }

    private func add(_ inside: TreeEntry, contents: Hash?) throws {
        let record = EntryRecord(inside.omitting(tree.options.digestOmits), contents: contents).hash
        try records.add(inside.path, Hash(of: inside.path.bytes), record, EntryKind(inside))
    }
}
