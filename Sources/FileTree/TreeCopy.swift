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
            if let origin = origin as? LocalTree, let destination = destination as? any LocalDestination {
                try TreeLocation(destination.path).refuseInside(origin)
            }
            if let origin = origin as? LocalTree, let destination = destination as? LocalTree {
                return try destination.clone(origin, options, cancellation, progress)
            }
            try (destination as? any RemoteDestination)?.refuseInside(origin)
            let source = try open(origin, options, cancellation)
            let sink = try open(destination, options, cancellation)
            return try TreeTransfer(source, sink, options, cancellation, progress).run()
        }
    }

    /// Reads a tree to its end without writing it: its digest and counts, and the proof that it is whole.
    ///
    /// Of the options it honours the source's map, the limits and the requirements on the tree (`lossless`,
    /// `requiresSafeRoot`): no copy refuses a tree that passes here for one of these reasons.
    ///
    /// - Throws: as ``run(from:to:options:pool:progress:)``.
    public static func examine(
        _ origin: any TreeOrigin, options: TreeCopyOptions = TreeCopyOptions(), pool: BlockingPool = .shared,
        progress: ProgressHandler? = nil
    ) async throws -> TreeSummary {
        try await pool.run { cancellation in
            try cancellation.check()
            if let origin = origin as? LocalTree { return try origin.read(options, cancellation, progress) }
            let source = try open(origin, options, cancellation)
            return try TreeTransfer(source, nil, options, cancellation, progress).run()
        }
    }

    private static func open(
        _ origin: any TreeOrigin, _ options: TreeCopyOptions, _ cancellation: Cancellation
    ) throws -> any TreeSource {
        guard let origin = origin as? any RemoteOrigin else { return try origin.open(limits: options.limits) }
        return try origin.open(limits: options.limits, cancellation: cancellation)
    }

    private static func open(
        _ destination: any TreeDestination, _ options: TreeCopyOptions, _ cancellation: Cancellation
    ) throws -> any TreeSink {
        guard let destination = destination as? any RemoteDestination else {
            return try destination.open(options: options)
        }
        return try destination.open(options: options, cancellation: cancellation)
    }
}
