// SPDX-License-Identifier: Apache-2.0

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
            try destination.refuseInside(origin)
            if let origin = origin as? LocalTree, let destination = destination as? LocalTree {
                return try destination.clone(origin, options, cancellation, progress)
            }
            let opening = TreeOpening(options: options, cancellation: cancellation)
            return try TreeTransfer(
                origin.openForReading(opening), destination.openForWriting(opening), opening, progress
            ).run()
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
            let opening = TreeOpening(options: options, cancellation: cancellation)
            return try TreeTransfer(origin.openForReading(opening), nil, opening, progress).run()
        }
    }
}
