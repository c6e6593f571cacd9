public import LXCCore

/// A directory on a local (or kernel-mounted) file system, as an origin and as a destination.
///
/// As a destination the directory must not exist; its parent must. The tree is built beside it under a hidden name and
/// renamed when complete.
public struct LocalTree: TreeOrigin, TreeDestination {
    /// The directory's path.
    public let path: String

    /// Takes a path; nothing is opened yet.
    public init(_ path: String) { self.path = path }

    /// The path.
    public var description: String { path }

    /// Opens the directory for reading.
    public func open(limits: TreeLimits) throws -> any TreeSource { fatalError("skeleton") }

    /// Starts a new directory.
    public func open(options: TreeCopyOptions) throws -> any TreeSink { fatalError("skeleton") }

    /// Removes the directory and everything below, never following a symbolic link and never crossing into another
    /// mount. What is not there is no error.
    ///
    /// - Throws: ``LXCError`` `inUse` when a mount point is inside, `io`; `CancellationError`.
    public func remove(pool: BlockingPool = .shared) async throws { fatalError("skeleton") }
}
