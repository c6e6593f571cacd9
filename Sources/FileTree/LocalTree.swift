// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
public import LXCCore
package import LinuxSystem

/// A directory on a local (or kernel-mounted) file system, as an origin and as a destination.
///
/// As a destination the directory must not exist; its parent must. The tree is built beside it under a hidden name and
/// renamed when complete.
public struct LocalTree: TreeOrigin, TreeDestination {
    /// The directory's path.
    public let path: String

    private let resolution: PathResolution

    /// Creates a tree at a path, without opening it.
    public init(_ path: String) { self.init(path, resolution: .automatic) }

    /// Creates a tree at a path, with a way of resolving the paths below it.
    package init(_ path: String, resolution: PathResolution) {
        self.path = path
        self.resolution = resolution
    }

    /// The path.
    public var description: String { path }

    /// Opens the directory for reading.
    public func openForReading(_ opening: TreeOpening) throws -> any TreeSource { try LocalTreeSource(path: path) }

    /// Starts a new directory.
    public func openForWriting(_ opening: TreeOpening) throws -> any TreeSink {
        let options = opening.options
        guard options.strategy == .auto || options.strategy == .copy else {
            throw LXCError(
                .unsupported, "\"\(path.escapedForDisplay)\" is built entry by entry; use the strategy auto or copy")
        }
        return try LocalTreeSink(StagedDirectory(TreeLocation(path)), opening, resolution: resolution)
    }

    /// Refuses to be inside of `origin`, a directory of this host.
    public func refuseInside(_ origin: any TreeOrigin) throws { try TreeLocation.refuse(path, inside: origin) }

    /// Removes the directory and everything below, never following a symbolic link and never crossing into another
    /// mount. Succeeds if it is not there.
    ///
    /// - Throws: `LXCError` `inUse` when a mount point is inside, `io`; `CancellationError`.
    public func remove(pool: BlockingPool = .shared) async throws {
        try await pool.run { cancellation in
            do {
                try TreeLocation(path).remove(TreeRemover(cancellation: cancellation))
            } catch let error as LXCError where error.code == .notFound {
                // Not even the directory above is there.
            }
        }
    }

    /// Checks for obstacles to removing the whole directory, before anything is changed. Succeeds if the directory does
    /// not exist.
    ///
    /// - Throws: `LXCError` `inUse` when a mount point is inside; `CancellationError`.
    public func requireRemovable(pool: BlockingPool = .shared) async throws {
        try await pool.run { cancellation in
            do {
                try TreeLocation(path).check(TreeRemover(cancellation: cancellation))
            } catch let error as LXCError where error.code == .notFound {
                // Not even the directory above is there.
            }
        }
    }

    /// Makes this a clone of `origin`.
    func clone(
        _ origin: LocalTree, _ options: TreeCopyOptions, _ cancellation: Cancellation, _ progress: ProgressHandler?
    ) throws -> TreeSummary {
        let snapshot = try snapshot(of: origin, options.strategy)
        let staged = try snapshot ?? StagedDirectory(TreeLocation(path))
        do {
            if let snapshot, options.changesNothing { return try snapshot.finish(options) }
            // A snapshot is read itself: its origin may have changed since.
            let source = try snapshot?.openAgain() ?? origin.openRoot()
            return try LocalWalk(
                source, to: staged, isInPlace: snapshot != nil, resolution: resolution, options, cancellation, progress
            ).run()
        } catch {
            staged.abandon()
            throw error
        }
    }

    /// Starts with a snapshot where possible.
    private func snapshot(of origin: LocalTree, _ strategy: TreeCopyOptions.Strategy) throws -> StagedDirectory? {
        guard strategy == .auto || strategy == .snapshot else { return nil }
        let snapshot = try StagedDirectory.snapshot(of: origin.openRoot(), at: TreeLocation(path))
        guard snapshot != nil || strategy == .auto else {
            throw LXCError(
                .unsupported,
                "no snapshot can be made at \"\(path.escapedForDisplay)\": the source must be a btrfs subvolume without "
                    + "others and without mounts inside, on the same file system; use the strategy auto")
        }
        return snapshot
    }

    /// Reads the tree to its end.
    func read(
        _ options: TreeCopyOptions, _ cancellation: Cancellation, _ progress: ProgressHandler?
    ) throws -> TreeSummary {
        try LocalWalk(
            openRoot(), to: nil, isInPlace: false, resolution: resolution, options, cancellation, progress
        ).run()
    }

    private func openRoot() throws -> Descriptor {
        guard let root = Descriptor(path, flags: O_RDONLY | clinux_o_directory) else {
            throw LXCError.lastSystemCall("openat", "open the directory \"\(path.escapedForDisplay)\"")
        }
        return root
    }
}
