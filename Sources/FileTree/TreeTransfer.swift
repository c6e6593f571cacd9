import LXCCore

/// One run of the copy, on one thread that may block.
final class TreeTransfer {
    private let source: any TreeSource
    private let sink: (any TreeSink)?
    private let options: TreeCopyOptions
    private let cancellation: Cancellation
    private let mapping: OwnerMapping
    private let manifest: ManifestBuilder
    private var limits: LimitGuard
    private var reporter: ProgressReporter
    private var rootIsKnown = false

    /// Takes both ends; without a sink the source is only read.
    init(
        _ source: any TreeSource, _ sink: (any TreeSink)?, _ options: TreeCopyOptions, _ cancellation: Cancellation,
        _ progress: ProgressHandler?
    ) {
        self.source = source
        self.sink = sink
        self.options = options
        self.cancellation = cancellation
        mapping = OwnerMapping(options)
        manifest = ManifestBuilder(
            hashesContents: options.computesDigest, keepsLinkTargets: options.requiresSafeRoot)
        limits = LimitGuard(options.limits)
        reporter = ProgressReporter(progress)
    }

    /// Moves everything, and removes what was written when that fails.
    func run() throws -> TreeSummary {
        let start = ContinuousClock.now
        do {
            while let entry = try source.next() { try transfer(entry) }
            try refuseLosses()
            if options.requiresSafeRoot { try SafeRoot.check(manifest) }
            let (digest, counts) = manifest.finish()
            try cancellation.check()
            try sink?.finish()
            reporter.finish(position)
            var summary = TreeSummary()
            summary.counts = counts
            summary.logicalBytes = limits.logicalBytes
            summary.allocatedBytes = limits.allocatedBytes
            summary.digest = digest
            summary.losses = losses
            summary.strategy = sink?.strategy ?? ""
            summary.duration = ContinuousClock.now - start
            return summary
        } catch {
            sink?.abandon()
            throw error
        }
    }

    private func transfer(_ original: TreeEntry) throws {
        try cancellation.check()
        try limits.count(original)
        let entry = try mapping.inside(original)
        let implied = try manifest.begin(entry)
        if let sink {
            if !rootIsKnown, !entry.path.isRoot { try imply(.root, in: sink) }
            rootIsKnown = true
            for path in implied { try imply(path, in: sink) }
            try sink.begin(mapping.outside(entry))
        }
        if case .file(let size) = entry.kind { try contents(entry.path, size) }
        manifest.end()
        try sink?.end()
        try refuseLosses()
        reporter.report(position)
    }

    /// Directories the source has no entry for belong to the container's root as any other.
    private func imply(_ path: TreePath, in sink: any TreeSink) throws {
        try sink.begin(mapping.outside(.impliedDirectory(path)))
        try sink.end()
    }

    private func contents(_ path: TreePath, _ size: UInt64) throws {
        let moved = try moveInsideKernel(path)
        if moved, !options.computesDigest { return }
        let more = { [self] in
            try source.readPiece { offset, bytes in
                guard offset <= size, UInt64(bytes.count) <= size - offset else {
                    throw LXCError(.corrupt, "\"\(path)\" has contents beyond its size")
                }
                try cancellation.check()
                try limits.count(UInt64(bytes.count), of: path, read: source.position.read)
                manifest.update(bytes, at: offset)
                if !moved { try sink?.write(bytes, at: offset) }
                reporter.report(position)
            }
        }
        while try more() {}
    }

    /// Lets the kernel move the contents where both ends are local files. Returns false when they have to be read and
    /// written. Where a digest is wanted they are read in any case, so only sharing extents saves anything then.
    private func moveInsideKernel(_ path: TreePath) throws -> Bool {
        guard let source = source as? any DescriptorSource, let sink = sink as? any DescriptorSink,
            let file = source.currentFile
        else { return false }
        if try sink.share(with: file) { return true }
        guard !options.computesDigest else { return false }
        while let extent = try source.nextExtent() {
            try cancellation.check()
            guard try sink.copy(extent, from: file) else {
                source.rewindFile()
                return false
            }
            try limits.count(UInt64(extent.count), of: path, read: source.position.read)
            reporter.report(position)
        }
        return true
    }

    private var losses: TreeLosses {
        var all = source.losses
        if let sink { all.merge(sink.losses) }
        return all
    }

    private func refuseLosses() throws {
        guard options.lossless, !source.losses.isEmpty || !(sink?.losses.isEmpty ?? true) else { return }
        let (kind, loss) = losses.kinds.first ?? ("", TreeLosses.Loss(count: 0, paths: []))
        throw LXCError(
            .lossRefused,
            "\"\(loss.paths.first ?? "")\" cannot be copied whole (\(kind.escapedForDisplay)); allow losses to go on")
    }

    private var position: TransferProgress {
        let position = source.position
        return TransferProgress(entries: limits.entries, bytes: position.read, totalBytes: position.total)
    }
}
