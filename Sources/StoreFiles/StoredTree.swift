// SPDX-License-Identifier: Apache-2.0

public import FileTree
public import LXCCore

/// A directory tree in a place: read, written, and removed as a whole.
public protocol StoredTree: TreeOrigin, TreeDestination {
    /// Removes the tree. Succeeds if it does not exist.
    ///
    /// - Parameter pool: threads for what blocks.
    /// - Throws: `LXCError` `inUse` when a mount point is inside, `io`; `CancellationError`.
    func remove(pool: BlockingPool) async throws
    /// Refuses a tree a container must not be started from, because directories the host mounts on (`dev`, `proc`, `sys`,
    /// `run`) are something else.
    ///
    /// - Parameter pool: threads for what blocks.
    /// - Throws: `LXCError` `unsafe` naming the entry, `notFound`.
    func requireSafeRoot(pool: BlockingPool) async throws
    /// Refuses a tree that cannot be removed as a whole, before anything is changed. Succeeds if it does not exist.
    ///
    /// - Parameter pool: threads for what blocks.
    /// - Throws: `LXCError` `inUse` naming a mount point inside.
    func requireRemovable(pool: BlockingPool) async throws
}

extension LocalTree: StoredTree {}
