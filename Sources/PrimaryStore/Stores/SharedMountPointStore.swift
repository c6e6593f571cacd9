// SPDX-License-Identifier: Apache-2.0

public import LXCCore
public import Logging
import StoreFiles

/// A primary store in a directory that is there already: a local disk, or a file system mounted on every host
/// (CloudStack's SharedMountPoint and Filesystem pools).
///
/// `<path>/<uuid>/` are the templates and volumes; `<path>/.lxc/` holds what this package knows of them. Hosts exclude
/// each other by locks of the file system (fcntl), which cluster file systems and NFS carry between them.
public struct SharedMountPointStore: PooledStore {
    /// The store's directory.
    public let path: String

    /// The pool in the directory.
    public let pool: Pool

    /// Opens the store in a directory. A directory without a store stays unchanged: it may be the mount point of one.
    /// The directory itself is closed to users of the host without objects in it, if it was open to them.
    ///
    /// - Parameters:
    ///   - path: the directory; nothing is mounted.
    ///   - id: the pool's uuid; nil accepts any.
    ///   - pool: threads for file operations.
    ///   - logger: receives messages about the store's work, at `debug` and `info`.
    /// - Throws: `LXCError` `notFound` if the directory is missing or holds no pool, `invalidArgument` if it belongs to
    ///   a pool of another id, `unsafe` if others can enter its control directory, `permissionDenied`, `io`.
    public init(
        path: String, id: PoolID? = nil, pool: BlockingPool = .shared,
        logger: Logger = Logger(label: "lxc-hypervisor.store")
    ) async throws {
        let files = try await Pool.directory(path, threads: pool)
        self.path = files.root
        self.pool = try await Pool(opening: files, id: id, threads: pool, logger: logger)
    }

    private init(_ path: String, _ pool: Pool) {
        self.path = path
        self.pool = pool
    }

    /// Makes a store in a directory, and opens it. The directory is closed to other users of the host.
    ///
    /// - Parameters:
    ///   - path: a directory that exists; its contents stay.
    ///   - id: the pool's uuid; nil for a new one.
    ///   - pool: threads for file operations.
    ///   - logger: receives messages about the store's work, at `debug` and `info`.
    /// - Returns: the store.
    /// - Throws: `LXCError` `alreadyExists` if there is another store; and as ``init(path:id:pool:logger:)``.
    public static func create(
        at path: String, id: PoolID? = nil, pool: BlockingPool = .shared,
        logger: Logger = Logger(label: "lxc-hypervisor.store")
    ) async throws -> SharedMountPointStore {
        let files = try await Pool.directory(path, threads: pool)
        return SharedMountPointStore(
            files.root, try await Pool.create(in: files, id: id, threads: pool, logger: logger))
    }

    /// Whether a directory is unused.
    ///
    /// - Throws: `LXCError` `permissionDenied`, `io`.
    public static func isEmpty(path: String) async throws -> Bool {
        try await Pool.isEmpty(Pool.directory(path))
    }

    /// The directory itself.
    public func hostDirectory() -> String { path }
}
