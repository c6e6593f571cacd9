// SPDX-License-Identifier: Apache-2.0

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

    /// Creates a transfer between a source and a sink; without a sink the source is only read.
    init(
        _ source: any TreeSource, _ sink: (any TreeSink)?, _ opening: TreeOpening, _ progress: ProgressHandler?
    ) {
        self.source = source
        self.sink = sink
        let options = opening.options
        self.options = options
        cancellation = opening.cancellation
        mapping = OwnerMapping(options)
        manifest = ManifestBuilder(
            hashesContents: options.computesDigest, keepsPaths: options.keepsManifest,
            keepsLinkTargets: options.requiresSafeRoot, omits: options.digestOmits)
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
            let records = try manifest.finish()
            try cancellation.check()
            try sink?.finish()
            reporter.finish(position)
            var summary = TreeSummary()
            try summary.take(records, options)
            summary.logicalBytes = ByteCount(limits.logicalBytes)
            summary.allocatedBytes = ByteCount(limits.allocatedBytes)
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
        try limits.count(original, read: source.position.read)
        let entry = try mapping.inside(original)
        // A further name of a file that is the name it has already changes nothing.
        guard let (implied, isNew) = try manifest.begin(entry, implying: { try limits.count(implied: $0) }) else {
            return
        }
        if let sink {
            if !rootIsKnown, !entry.path.isRoot { try imply(.root, in: sink) }
            rootIsKnown = true
            for path in implied { try imply(path, in: sink) }
            try sink.begin(mapping.outside(entry), isNew: isNew)
        }
        if case .file(let size) = entry.kind { try contents(entry.path, size) }
        manifest.end()
        try sink?.end()
        try refuseLosses()
        reporter.report(position)
    }

    /// Directories the source has no entry for belong to the container's root as any other.
    private func imply(_ path: TreePath, in sink: any TreeSink) throws {
        try sink.begin(mapping.outside(.impliedDirectory(path)), isNew: true)
        try sink.end()
    }

    private func contents(_ path: TreePath, _ size: UInt64) throws {
        while let piece = try source.nextPiece() {
            let count = UInt64(piece.bytes.count)
            guard piece.offset <= size, count <= size - piece.offset else {
                throw LXCError(.corrupt, "\"\(path)\" has contents beyond its size")
            }
            try cancellation.check()
            try limits.count(count, of: path, read: source.position.read)
            manifest.update(piece)
            try sink?.write(piece)
            reporter.report(position)
        }
    }

    private var losses: TreeLosses {
        var all = source.losses
        if let sink { all.merge(sink.losses) }
        return all
    }

    /// A sink refuses its own.
    private func refuseLosses() throws {
        if options.lossless { try source.losses.refuse() }
    }

    private var position: TransferProgress {
        let position = source.position
        return TransferProgress(
            entries: limits.entries, transferred: ByteCount(position.read), total: position.total.map { ByteCount($0) })
    }
}
