// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import LXCCore
import LinuxSystem

/// One writing of a local directory by several threads.
///
/// Every entry is new, so the order matters little: the calling thread makes the directories, a crew makes files and
/// links in batches, hard links follow when their targets are complete, and directories get their attributes at the
/// end, since making a name in one changes its time and its mode may forbid making names. When a name is repeated, all
/// pending work is completed first.
final class LocalTreeSink: TreeSink {
    private static let batchEntries = 64
    /// A larger file is written piece by piece.
    private static let smallFileBytes: UInt64 = 1 << 20
    /// The memory the entries of a batch may hold: more than one block of contents, or each block would be a batch.
    private static let batchBytes = 2 * SharedBytes.Maker.blockSize
    /// The number of batches, or pieces of large files, that may wait; each holds one to three MiB.
    private static let waiting = 16

    private let staged: StagedDirectory
    private let options: TreeCopyOptions
    private let cancellation: Cancellation
    private let writer: EntryWriter
    private let crew: WorkCrew<LocalTreeWork, EntryWriter>
    private var root = TreeEntry.impliedDirectory(.root)
    /// Entries of names that are no longer directories at the end are skipped.
    private var directories = UnfinishedDirectories()
    /// The paths of hard links and of their targets in turn.
    private var links = SpillLog()
    private var batch: [LocalTreeWork.Entry] = []
    private var weight = BatchWeight()
    private var current = Current.nothing
    private var isEnded = false
    private(set) var losses = TreeLosses()

    /// The entry in progress.
    private enum Current {
        case nothing
        case small(LocalTreeWork.Entry)
        case large(LargeFile)
    }

    /// Creates a sink that writes to the hidden directory, and starts its threads.
    init(_ staged: StagedDirectory, _ opening: TreeOpening, resolution: PathResolution) {
        self.staged = staged
        options = opening.options
        cancellation = opening.cancellation
        let tree = EntryWriter.Tree(staged, resolution: resolution, isLossless: options.lossless)
        writer = EntryWriter(tree, ownsThread: false)
        crew = WorkCrew(
            "lxc-write", threads: options.threads ?? HostThreads.forWriting, order: .oldestFirst(limit: Self.waiting),
            makeState: { EntryWriter(tree, ownsThread: true) }, perform: { work, writer, _ in try work.perform(writer) }
        )
    }

    let strategy = "write"

    func begin(_ original: TreeEntry, isNew: Bool) throws {
        current = .nothing
        var entry = original
        // Contents come in pieces that say where they belong; a list of a million stretches would wait in vain.
        entry.extents = nil
        guard !entry.path.isRoot else {
            root = entry
            return
        }
        if !isNew {
            try settle()
            let isDirectory = entry.kind == .directory
            guard try writer.remove(entry.path, keepsDirectory: isDirectory) else {
                try directories.add(entry)
                return
            }
        }
        switch entry.kind {
        case .directory:
            let directory = try writer.enterParent(of: entry.path)
            try withCString(entry.path.name) { try writer.makeDirectory(entry.path, $0, in: directory) }
            try directories.add(entry)
        case .hardLink(let target):
            try links.append(entry.path.bytes)
            try links.append(target.bytes)
        case .file(let size) where size > Self.smallFileBytes:
            current = .large(try LargeFile(entry, size: size, writer))
        default: current = .small(LocalTreeWork.Entry(entry: entry))
        }
    }

    func write(_ piece: TreePiece) throws {
        switch current {
        case .nothing: throw LXCError(.invalidState, "contents were given for an entry that is not a file")
        case .small(var pending):
            // Without the copy in `current` the array of pieces grows in place.
            current = .nothing
            pending.pieces.append(piece)
            weight.add(piece.bytes)
            current = .small(pending)
        case .large(let file):
            file.willWrite()
            try crew.give(.piece(file, piece))
        }
    }

    func end() throws {
        switch current {
        case .nothing: break
        case .small(let pending):
            batch.append(pending)
            weight.add(pending.entry)
            if batch.count >= Self.batchEntries || weight.bytes >= Self.batchBytes { try flush() }
        case .large(let file): try crew.give(.end(file))
        }
        current = .nothing
    }

    func finish() throws {
        try settle()
        try finishDirectories()
        try endThreads()
        if options.requiresSafeRoot { try SafeRoot.check(OpenRoot(staged.root.raw)) }
        // The root stays inaccessible to others until everything else is complete.
        try writer.finishDirectory(root)
        losses.merge(writer.losses)
        try cancellation.check()
        try staged.publish(durable: options.durable)
    }

    func abandon() {
        if !isEnded { crew.end() }
        staged.abandon()
    }

    // MARK: The crew

    private func flush() throws {
        if !batch.isEmpty { try crew.give(.entries(batch)) }
        batch = []
        weight = BatchWeight()
    }

    /// Waits until all entries so far are complete, and makes the hard links to them.
    private func settle() throws {
        try flush()
        try crew.settle()
        var place: UInt64 = 0
        while place < links.end {
            let (path, next) = try links.text(at: place)
            let (target, end) = try links.text(at: next)
            try cancellation.check()
            try writer.makeLink(TreePath(trusted: path), to: TreePath(trusted: target))
            place = end
        }
        links = SpillLog()
    }

    /// From the deepest directories up, so that a restrictive mode does not block access further down; those of one
    /// depth in parallel.
    private func finishDirectories() throws {
        var depth = 0
        var level: [TreeEntry] = []
        var weight = BatchWeight()
        try directories.forEach { entry in
            let isDeeper = entry.path.depth != depth
            if isDeeper || level.count >= Self.batchEntries || weight.bytes >= Self.batchBytes {
                try cancellation.check()
                try crew.give(.directories(level))
                level = []
                weight = BatchWeight()
            }
            if isDeeper { try crew.settle() }
            depth = entry.path.depth
            level.append(entry)
            weight.add(entry)
        }
        try crew.give(.directories(level))
        try crew.settle()
    }

    private func endThreads() throws {
        isEnded = true
        for writer in crew.end() { losses.merge(writer.losses) }
    }
}

/// The work of the threads of a ``LocalTreeSink``.
enum LocalTreeWork: Sendable {
    /// An entry with all its contents.
    struct Entry: Sendable {
        let entry: TreeEntry
        var pieces: [TreePiece] = []
    }

    /// Small files, symbolic links, devices and FIFOs, all new.
    case entries([Entry])
    /// A piece of a file's contents.
    case piece(LargeFile, TreePiece)
    /// There are no more pieces.
    case end(LargeFile)
    /// Directories that are complete.
    case directories([TreeEntry])

    /// Does the work.
    func perform(_ writer: EntryWriter) throws {
        switch self {
        case .entries(let entries): for entry in entries { try entry.make(writer) }
        case .piece(let file, let piece):
            try file.write(piece)
            try file.didWrite(writer)
        case .end(let file): try file.didWrite(writer)
        case .directories(let entries): for entry in entries { try writer.finishDirectory(entry) }
        }
    }
}

extension LocalTreeWork.Entry {
    fileprivate func make(_ writer: EntryWriter) throws {
        let directory = try writer.enterParent(of: entry.path)
        try withCString(entry.path.name) { name in
            guard case .file(let size) = entry.kind else {
                _ = try writer.makeSpecial(entry, name, in: directory)
                return
            }
            let (raw, mode) = try writer.makeFile(entry, name, in: directory)
            let file = Descriptor(adopting: raw)
            var end: UInt64 = 0
            for piece in pieces {
                try Descriptor.write(piece, of: entry.path, to: file.raw)
                end = piece.offset + UInt64(piece.bytes.count)
            }
            if end < size { try Descriptor.extend(file.raw, to: size, of: entry.path) }
            try writer.apply(entry, to: file.raw, made: mode)
        }
    }
}
