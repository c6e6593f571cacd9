import CLinux
import Glibc
public import LXCCore

/// A directory on a local (or kernel-mounted) file system, as an origin and as a destination.
///
/// As a destination the directory must not exist; its parent must. The tree is built beside it under a hidden name and
/// renamed when complete.
public struct LocalTree: TreeOrigin, TreeDestination {
    /// The directory's path.
    public let path: String

    private let resolution: PathResolution

    /// Takes a path; nothing is opened yet.
    public init(_ path: String) { self.init(path, resolution: .automatic) }

    /// Takes a path and the way paths below it are resolved.
    package init(_ path: String, resolution: PathResolution) {
        self.path = path
        self.resolution = resolution
    }

    /// The path.
    public var description: String { path }

    /// Opens the directory for reading.
    public func open(limits: TreeLimits) throws -> any TreeSource { try LocalTreeSource(path: path) }

    /// Starts a new directory.
    public func open(options: TreeCopyOptions) throws -> any TreeSink {
        guard options.strategy != .snapshot else {
            throw LXCError(
                .unsupported, "\"\(path.escapedForDisplay)\" is built entry by entry; use the strategy auto")
        }
        return try LocalTreeSink(location: TreeLocation(path), options: options, resolution: resolution)
    }

    /// Removes the directory and everything below, never following a symbolic link and never crossing into another
    /// mount. What is not there is no error.
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

    /// Refuses a destination inside `origin`: the copy would read what it writes.
    func refuseInside(_ origin: LocalTree) throws {
        guard let root = Descriptor(origin.path, flags: clinux_o_path | clinux_o_directory),
            let rootStatus = FileStatus(of: root.raw)
        else { return }
        let flags = clinux_o_path | clinux_o_directory
        let location = try TreeLocation(path)
        guard var directory = Descriptor(".", in: location.parent.raw, flags: flags) else { return }
        while let status = FileStatus(of: directory.raw) {
            guard status.identity != rootStatus.identity else {
                throw LXCError(
                    .invalidArgument,
                    "\"\(path.escapedForDisplay)\" is inside \"\(origin.path.escapedForDisplay)\"; choose another place"
                )
            }
            guard let above = Descriptor("..", in: directory.raw, flags: flags),
                let aboveStatus = FileStatus(of: above.raw), aboveStatus.identity != status.identity
            else { return }
            directory = above
        }
    }
}

/// Where a tree is or will be: the directory above it, open, and its name there.
struct TreeLocation: ~Copyable {
    let parent: Descriptor
    let name: String

    /// Opens the directory above `path`.
    ///
    /// - Throws: `LXCError` `invalidArgument` when the path does not end in a name; `notFound`.
    init(_ path: String) throws {
        let parts = path.split(separator: "/")
        guard let name = parts.last, name != ".", name != "..", !path.utf8.contains(0) else {
            throw LXCError(.invalidArgument, "\"\(path.escapedForDisplay)\" does not end in a directory's name")
        }
        let above = (path.hasPrefix("/") ? "/" : "./") + parts.dropLast().joined(separator: "/")
        guard let parent = Descriptor(above, flags: O_RDONLY | clinux_o_directory) else {
            throw LXCError.lastSystemCall("openat", "open the directory \"\(above.escapedForDisplay)\"")
        }
        self.parent = parent
        self.name = String(name)
    }

    /// Removes what has the name.
    borrowing func remove(_ remover: TreeRemover) throws {
        try name.withCString {
            try remover.check($0, in: parent.raw)
            try remover.remove($0, in: parent.raw)
        }
    }
}
