public import FileTree
import Foundation
import Glibc
public import LXCCore
import LinuxSystem
public import Logging
public import StoreFiles

/// A primary store in a directory that is there already: a local disk, or a file system mounted on every host
/// (CloudStack's SharedMountPoint and Filesystem pools).
///
/// `<path>/<uuid>/` are the templates and volumes; `<path>/.lxc/` holds what this package knows of them. Hosts exclude
/// each other by locks of the file system (fcntl), which cluster file systems and NFS carry between them.
public struct SharedMountPointStore: DiskStore {
    /// The store's directory.
    public let path: String

    let pool: Pool

    /// Opens the store in a directory. A directory that holds none is left as it is: it may be the mount point of one. The
    /// directory itself is closed to users of the host who have nothing in it, if it was open to them.
    ///
    /// - Parameters:
    ///   - path: the directory; nothing is mounted.
    ///   - id: the pool's uuid; nil takes the one the directory has.
    ///   - pool: threads for file operations.
    ///   - logger: takes what is done, at `debug` and `info`.
    /// - Throws: `LXCError` `notFound` when the directory is missing or holds no pool, `invalidArgument` when it belongs to
    ///   a pool of another id, `unsafe` when others come to its control directory, `permissionDenied`, `io`.
    public init(
        path: String, id: PoolID? = nil, pool: BlockingPool = .shared,
        logger: Logger = Logger(label: "lxc-hypervisor.store")
    ) async throws {
        let files = try await Self.files(path, pool)
        self.path = files.root
        self.pool = try await Pool.open(files, id: id, threads: pool, logger: logger)
    }

    private init(_ path: String, _ pool: Pool) {
        self.path = path
        self.pool = pool
    }

    /// Makes a store in a directory, and opens it. The directory is closed to other users of the host.
    ///
    /// - Parameters:
    ///   - path: a directory that exists; what is in it stays.
    ///   - id: the pool's uuid; nil takes a new one.
    ///   - pool: threads for file operations.
    ///   - logger: takes what is done, at `debug` and `info`.
    /// - Returns: the store.
    /// - Throws: `LXCError` `alreadyExists` when there is a store, but for the very one that is asked for; and as
    ///   ``init(path:id:pool:logger:)``.
    public static func create(
        at path: String, id: PoolID? = nil, pool: BlockingPool = .shared,
        logger: Logger = Logger(label: "lxc-hypervisor.store")
    ) async throws -> SharedMountPointStore {
        let files = try await files(path, pool)
        return SharedMountPointStore(
            files.root, try await Pool.create(files, id: id, threads: pool, logger: logger))
    }

    /// Whether nobody keeps anything in a directory.
    ///
    /// - Throws: `LXCError` `permissionDenied`, `io`.
    public static func isEmpty(path: String) async throws -> Bool {
        try await Pool.isEmpty(files(path, .shared))
    }

    private static func files(_ path: String, _ pool: BlockingPool) async throws -> LocalStoreFiles {
        let root = try await pool.run { _ in try resolve(path) }
        return LocalStoreFiles(root, pool: pool, lockFile: StoreLayout.pool)
    }

    /// The path as it leads from this process's directory, absolute: libvirt is told of directories below it, and works in
    /// another directory. `..` is where the kernel finds it, which after a symbolic link is not what the text says; without
    /// any the operator's own names are kept.
    private static func resolve(_ path: String) throws -> String {
        let start = path.hasPrefix("/") ? "" : FileManager.default.currentDirectoryPath
        let names = "\(start)/\(path)".split(separator: "/").filter { $0 != "." }
        let absolute = "/" + names.joined(separator: "/")
        guard names.contains("..") else { return absolute }
        guard let resolved = realpath(absolute, nil) else {
            if errno == ENOENT || errno == ENOTDIR {
                throw LXCError(
                    .notFound,
                    "there is no directory \(absolute.escapedForDisplay) for a primary store; make or mount it")
            }
            throw LXCError.lastSystemCall("realpath", "find \(absolute.escapedForDisplay)")
        }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    /// The identity kept in the directory.
    public var id: PoolID { pool.id }

    /// The file system's size and what of it is free.
    public func capacity() async throws -> StoreCapacity { try await pool.capacity() }

    /// The directories named by a UUID, and what is known of them.
    public func contents() async throws -> StoreContents { try await pool.contents() }

    /// Reads the volume's record.
    public func volume(_ id: VolumeID) async throws -> StoredVolume? { try await pool.volume(id) }

    /// Unpacks a template in staging and publishes it by rename; the second caller waits and gets the first's.
    public func installTemplate(
        _ id: TemplateID, from origin: any TreeOrigin, expecting expected: TreeDigest?, limits: TreeLimits,
        progress: ProgressHandler?
    ) async throws -> StoredTemplate {
        try await pool.installTemplate(id, from: origin, expecting: expected, limits: limits, progress: progress)
    }

    /// Digests the template's directory and compares it with the digest in its record, and where they differ entry by
    /// entry with its manifest.
    public func verifyTemplate(
        _ id: TemplateID, progress: ProgressHandler?
    ) async throws -> [TreeManifest.Difference] { try await pool.verifyTemplate(id, progress: progress) }

    /// Takes a template away by rename, then removes it.
    public func deleteTemplate(_ id: TemplateID) async throws { try await pool.deleteTemplate(id) }

    /// Clones a template in staging and publishes the volume by rename.
    public func createVolume(
        _ id: VolumeID, from template: TemplateID, idMap: IDMap?, progress: ProgressHandler?
    ) async throws -> StoredVolume {
        try await pool.createVolume(id, from: template, idMap: idMap, progress: progress)
    }

    /// Takes a volume away by rename, then removes it.
    public func deleteVolume(_ id: VolumeID) async throws { try await pool.deleteVolume(id) }

    /// The volume's directory itself, checked to be one a container can be started from; of a disk its file. The root of an
    /// unprivileged container, and the account QEMU runs as, are let through the store's directory, and nobody else.
    public func hostPath(of volume: VolumeID) async throws -> String {
        let record = try await pool.requireSafeVolume(volume)
        let path = "\(path)/\(StoreLayout.object(volume))"
        try await pool.requirePassage(to: volume, record, at: path)
        return path
    }

    /// Copies an image in staging and publishes it by rename; the second caller waits and gets the first's.
    public func installImage(
        _ id: TemplateID, from image: DiskImage, progress: ProgressHandler?
    ) async throws -> StoredImage { try await pool.installImage(id, from: image, progress: progress) }

    /// Has the disk made in staging, checks it, and publishes it by rename.
    public func createDisk(
        _ id: VolumeID, over image: TemplateID, size: ByteCount?, make: (DiskOverlay) async throws -> Void
    ) async throws -> DiskOverlay {
        try await pool.createDisk(id, over: image, size: size, seenAt: path, make: make)
    }

    /// Reads the lease.
    public func lease(on volume: VolumeID) async throws -> VolumeLease? { try await pool.lease(on: volume) }

    /// Reads all leases. One that cannot be read is left out, and logged.
    public func leases() async throws -> [VolumeLease] { try await pool.leases() }

    /// Writes the lease, which appears whole and for one holder only. Its end is by the file system's clock.
    public func acquireLease(
        on volume: VolumeID, for holder: String, use: String?, lasting duration: Duration?
    ) async throws -> VolumeLease {
        try await pool.acquireLease(on: volume, for: holder, use: use, lasting: duration)
    }

    /// Writes the lease anew if it is the holder's.
    public func renewLease(
        on volume: VolumeID, for holder: String, lasting duration: Duration?
    ) async throws -> VolumeLease { try await pool.renewLease(on: volume, for: holder, lasting: duration) }

    /// Removes the lease file if it is the same lease still.
    public func releaseLease(_ lease: VolumeLease) async throws { try await pool.releaseLease(lease) }

    /// Removes the lease file, whosever it is.
    public func breakLease(on volume: VolumeID) async throws -> Bool { try await pool.breakLease(on: volume) }

    /// Removes what is in staging and trash and no longer locked, and records without a directory. What cannot be
    /// removed keeps nothing else from being so.
    ///
    /// - Throws: the first failure, when everything else is done.
    public func collectGarbage() async throws -> Int { try await pool.collectGarbage() }
}
