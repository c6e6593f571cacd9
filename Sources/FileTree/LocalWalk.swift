import CLinux
import Glibc
import LXCCore
import Synchronization

/// One reading of a local directory by several threads, a directory at a time, and the making of a clone of it where
/// there is a destination. Where that is a snapshot already, owners are changed in place.
///
/// The digest does not depend on the order of entries, so every thread collects the records of what it read. A
/// directory's names are all made by one thread, which then gives the directory its attributes; hard links are made at
/// the end, when their targets are complete.
final class LocalWalk {
    private let tree: LocalWalkTree
    private let staged: StagedDirectory?
    private let options: TreeCopyOptions
    private let cancellation: Cancellation
    private let writer: EntryWriter?

    /// Takes the source's root, and where its clone is built; both are the same where owners are changed in place.
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
            try crew.give(LocalWalkWork(path: .root, status: tree.status))
            try crew.settle()
        } catch {
            crew.end()
            throw error
        }
        var result = LocalWalkResult(crew.end(), keepsPaths: options.keepsManifest)
        try result.take(tree.links.withLock { $0 }, tree.isInPlace ? nil : writer, cancellation)
        try finishDirectories()
        if let writer { result.losses.merge(writer.losses) }
        if options.lossless { try result.losses.refuse() }
        if options.requiresSafeRoot { try SafeRoot.check(OpenRoot(staged?.root.raw ?? tree.root.raw)) }
        var summary = tree.accounting.withLock { $0.summary() }
        summary.take(result.records, options)
        summary.losses = result.losses
        if staged != nil { summary.strategy = tree.isInPlace ? StagedDirectory.snapshotStrategy : result.strategy }
        try cancellation.check()
        try publish()
        summary.duration = ContinuousClock.now - start
        return summary
    }

    /// From the deepest up, so that no mode set forbids going below.
    private func finishDirectories() throws {
        let directories = tree.unfinished.withLock { $0 }.sorted { $0.path > $1.path }
        for entry in directories where !entry.path.isRoot {
            try cancellation.check()
            try writer?.finishDirectory(entry)
        }
    }

    /// The root stays closed to others until everything else is done.
    private func publish() throws {
        guard let staged else { return }
        if let root = tree.unfinished.withLock({ $0.first { $0.path.isRoot } }) { try writer?.finishDirectory(root) }
        try staged.publish(durable: options.durable)
    }
}

/// A directory to be read. The status is what the directory above saw.
struct LocalWalkWork: Sendable {
    let path: TreePath
    let status: FileStatus
}

/// What the threads of a walk share.
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
    /// Directories that get their attributes at the end, as the destination has them.
    let unfinished = Mutex<[TreeEntry]>([])

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

    /// Opens a directory of the source; nil with `errno` set.
    func open(_ path: TreePath) -> Descriptor? {
        let flags = O_RDONLY | clinux_o_directory
        guard !path.isRoot else { return Descriptor(".", in: root.raw, flags: flags) }
        return resolution.open(path.bytes[...], below: root.raw, flags: flags)
    }

    /// What was counted so far.
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
            summary.logicalBytes = limits.logicalBytes
            summary.allocatedBytes = limits.allocatedBytes
            return summary
        }

        private mutating func report() {
            let position = position
            reporter.report(position)
        }

        private var position: TransferProgress { TransferProgress(entries: limits.entries, bytes: bytesRead) }
    }
}

/// Inodes with several names.
struct LinkTable {
    /// One inode: its names in the order they were met, and its record once it is read.
    struct Group {
        var names: [TreePath]
        var record: Hash?
        var kind = EntryKind.file
        /// Whether the destination has it.
        var isMade = false
    }

    private(set) var groups: [FileStatus.Identity: Group] = [:]

    /// Notes a name; says whether it is the first, which then stands for the inode.
    mutating func enter(_ identity: FileStatus.Identity, _ path: TreePath) -> Bool {
        groups[identity, default: Group(names: [])].names.append(path)
        return groups[identity]?.names.count == 1
    }

    /// Notes what the inode is.
    mutating func complete(_ identity: FileStatus.Identity, _ record: Hash, _ kind: EntryKind, isMade: Bool) {
        groups[identity]?.record = record
        groups[identity]?.kind = kind
        groups[identity]?.isMade = isMade
    }
}

/// What the threads of a walk found, put together.
struct LocalWalkResult {
    private(set) var records: ManifestRecords
    var losses = TreeLosses()
    private(set) var strategy = "write"

    init(_ workers: [LocalWalkWorker], keepsPaths: Bool) {
        records = ManifestRecords(keepsPaths: keepsPaths)
        for worker in workers {
            records.merge(worker.records)
            losses.merge(worker.losses)
        }
        if workers.contains(where: \.contents.copied) { strategy = "copy_file_range" }
        if workers.contains(where: \.contents.shared) { strategy = "reflink" }
    }

    /// Makes the hard links and adds their records. Names of what could not be read or made are lost with it.
    mutating func take(_ links: LinkTable, _ writer: EntryWriter?, _ cancellation: Cancellation) throws {
        for group in links.groups.values {
            try cancellation.check()
            guard let record = group.record, let first = group.names.first else {
                for name in group.names.dropFirst() { losses.add("vanished", name) }
                continue
            }
            records.add(group.names.map { ($0, Hash(of: $0.bytes)) }, record, group.kind)
            for name in group.names.dropFirst() {
                if group.isMade || writer == nil {
                    try writer?.makeLink(name, to: first)
                } else {
                    losses.add("device", name)
                }
            }
        }
    }
}
