public import LXCCore

/// The one copy between any origin and any destination.
public enum TreeCopy {
    /// Copies a tree.
    ///
    /// Either everything is at the destination when this returns, or nothing is when it throws.
    ///
    /// - Throws: `LXCError` `corrupt`, `unsafe`, `limitExceeded`, `lossRefused`, `alreadyExists`, `io` and others;
    ///   `CancellationError` when the calling task is cancelled.
    public static func run(
        from origin: any TreeOrigin, to destination: any TreeDestination, options: TreeCopyOptions = TreeCopyOptions(),
        pool: BlockingPool = .shared, progress: ProgressHandler? = nil
    ) async throws -> TreeSummary {
        try await pool.run { cancellation in
            try cancellation.check()
            if let origin = origin as? LocalTree, let destination = destination as? LocalTree {
                try destination.refuseInside(origin)
            }
            let source = try origin.open(limits: options.limits)
            let sink = try destination.open(options: options)
            return try TreeTransfer(source, sink, options, cancellation, progress).run()
        }
    }

    /// Reads a tree to its end without writing it: its digest and counts, and the proof that it is whole.
    ///
    /// Of the options it honours the source's map, the limits and what is required of the tree (`lossless`,
    /// `requiresSafeRoot`), so that what passes here is refused by no copy for the same reason.
    ///
    /// - Throws: as ``run(from:to:options:pool:progress:)``.
    public static func examine(
        _ origin: any TreeOrigin, options: TreeCopyOptions = TreeCopyOptions(), pool: BlockingPool = .shared,
        progress: ProgressHandler? = nil
    ) async throws -> TreeSummary {
        try await pool.run { cancellation in
            try cancellation.check()
            let source = try origin.open(limits: options.limits)
            return try TreeTransfer(source, nil, options, cancellation, progress).run()
        }
    }
}
