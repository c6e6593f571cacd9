// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import LXCCore
import LinuxSystem
import Synchronization

/// Reads a local directory by several threads, a directory at a time, and makes a clone of it where
/// there is a destination. Where that is a snapshot already, owners are changed in place.
///
/// The digest does not depend on the order of entries, so every thread collects the records of its entries. One thread
/// makes all names of a directory, then sets the directory's attributes; hard links are made at the end, when their
/// targets are complete.
final class LocalWalk {
    private let tree: LocalWalkTree
    private let staged: StagedDirectory?
    private let options: TreeCopyOptions
    private let cancellation: Cancellation
    private let writer: EntryWriter?

    /// Creates a walk of a source, with the place its clone is built in; both are the same where owners are changed in
    /// place.
    init(
        _ source: consuming Descriptor, to staged: StagedDirectory?, isInPlace: Bool, resolution: PathResolution,
        _ options: TreeCopyOptions, _ cancellation: Cancellation, _ progress: ProgressHandler?
    ) throws {
        guard let status = FileStatus(of: source.raw) else {
            throw LXCError.lastSystemCall("statx", "read a directory")
        }
        let target = staged.map {
            EntryWriter.Tree($0, resolution: resolution, isLossless: options.lossless, setsTimes: !isInPlace)
        }
        tree = LocalWalkTree(
            root: source, status: status, resolution: resolution, target: target, isInPlace: isInPlace, options,
            cancellation, progress)
        writer = target.map { EntryWriter($0, ownsThread: false) }
        self.staged = staged
        self.options = options
        self.cancellation = cancellation
    }

    /// Reads everything, and publishes the clone.
    func run() throws -> TreeSummary {
        let start = ContinuousClock.now
        let crew = WorkCrew<LocalWalkWork, LocalWalkWorker>(
            "lxc-walk", threads: options.threads ?? HostThreads.forReading, order: .newestFirst,
            makeState: { [tree] in LocalWalkWorker(tree) },
            perform: { work, worker, crew in try worker.visit(work, crew) })
        do {
            try tree.give(LocalWalkWork(path: .root, status: tree.status), to: crew)
            try crew.settle()
        } catch {
            crew.end()
            throw error
        }
        var result = LocalWalkResult(crew.end(), options)
        try result.take(tree.links.withLock { $0 }, tree.isInPlace ? nil : writer, cancellation)
        try finishDirectories()
        if let writer { result.losses.merge(writer.losses) }
        if options.lossless { try result.losses.refuse() }
        if options.requiresSafeRoot { try SafeRoot.check(OpenRoot(staged?.root.raw ?? tree.root.raw)) }
        var summary = tree.accounting.withLock { $0.summary() }
        try summary.take(result.records, options)
        summary.losses = result.losses
        if staged != nil { summary.strategy = tree.isInPlace ? StagedDirectory.snapshotStrategy : result.strategy }
        try cancellation.check()
        try publish()
        summary.duration = ContinuousClock.now - start
        return summary
    }

    /// From the deepest up, so that no mode set forbids going below.
    private func finishDirectories() throws {
        guard let writer else { return }
        try tree.unfinished.withLock { $0 }.forEach {
            try cancellation.check()
            try writer.finishDirectory($0)
        }
    }

    /// The root stays inaccessible to others until everything else is complete.
    private func publish() throws {
        guard let staged else { return }
        if let root = tree.unfinishedRoot.withLock({ $0 }) { try writer?.finishDirectory(root) }
        try staged.publish(durable: options.durable)
    }
}

/// A directory to be read, as the directory above saw it.
struct LocalWalkWork: Sendable {
    /// The directory, its attributes not known yet.
    let entry: TreeEntry
    var path: TreePath { entry.path }

    init(_ entry: TreeEntry) { self.entry = entry }

    init(path: TreePath, status: FileStatus) {
        entry = TreeEntry(
            path: path, kind: .directory, mode: status.mode, user: status.user, group: status.group,
            modified: status.modified)
    }
}

/// The state shared by the threads of a walk.
final class LocalWalkTree: Sendable {
    let root: Descriptor
    let status: FileStatus
    let resolution: PathResolution
    let target: EntryWriter.Tree?
    /// Whether the target is the source itself, in which only owners change.
    let isInPlace: Bool
    let options: TreeCopyOptions
    let mapping: OwnerMapping
    let cancellation: Cancellation
    let accounting: Mutex<Accounting>
    let links = Mutex(LinkTable())
    /// Directories whose attributes are set at the end, with the destination's attributes; and the root.
    let unfinished = Mutex(UnfinishedDirectories())
    let unfinishedRoot = Mutex<TreeEntry?>(nil)
    private let backlog = Mutex(WalkBacklog())
    /// The number of directories queued in the crew.
    private let waiting = Atomic(0)

    init(
        root: consuming Descriptor, status: FileStatus, resolution: PathResolution, target: EntryWriter.Tree?,
        isInPlace: Bool, _ options: TreeCopyOptions, _ cancellation: Cancellation, _ progress: ProgressHandler?
    ) {
        self.root = root
        self.status = status
        self.resolution = resolution
        self.target = target
        self.isInPlace = isInPlace
        self.options = options
        self.cancellation = cancellation
        mapping = OwnerMapping(options)
        accounting = Mutex(Accounting(options.limits, progress))
    }

    /// Gives the threads a directory, or stores it if they have enough.
    func give(_ work: LocalWalkWork, to crew: WorkCrew<LocalWalkWork, LocalWalkWorker>) throws {
        if waiting.load(ordering: .relaxed) >= WalkBacklog.maximumWaiting {
            return try backlog.withLock { try $0.push(work.entry) }
        }
        waiting.add(1, ordering: .relaxed)
        try crew.give(work)
    }

    /// Notes that a thread begins with a directory.
    func begin() { waiting.subtract(1, ordering: .relaxed) }

    /// Refills the threads' queue from the stored directories. Must be called at the end of every piece of work:
    /// whoever stored a directory passes here.
    func refill(_ crew: WorkCrew<LocalWalkWork, LocalWalkWorker>) throws {
        while waiting.load(ordering: .relaxed) < WalkBacklog.minimumWaiting,
            let entry = try backlog.withLock({ try $0.pop() })
        {
            waiting.add(1, ordering: .relaxed)
            try crew.give(LocalWalkWork(entry))
        }
    }

    /// The counts so far.
    struct Accounting {
        private var limits: LimitGuard
        private var reporter: ProgressReporter
        private var bytesRead: UInt64 = 0

        init(_ limits: TreeLimits, _ progress: ProgressHandler?) {
            self.limits = LimitGuard(limits)
            reporter = ProgressReporter(progress)
        }

        mutating func count(_ entry: TreeEntry) throws {
            bytesRead += UInt64(entry.attributeBytes)
            try limits.count(entry, read: bytesRead)
            report()
        }

        mutating func count(_ bytes: UInt64, of path: TreePath) throws {
            bytesRead += bytes
            try limits.count(bytes, of: path, read: bytesRead)
            report()
        }

        mutating func summary() -> TreeSummary {
            reporter.finish(position)
            var summary = TreeSummary()
            summary.logicalBytes = ByteCount(limits.logicalBytes)
            summary.allocatedBytes = ByteCount(limits.allocatedBytes)
            return summary
        }

        private mutating func report() {
            let position = position
            reporter.report(position)
        }

        private var position: TransferProgress {
            TransferProgress(entries: limits.entries, transferred: ByteCount(bytesRead))
        }
    }
}
