public import FileTree
import Foundation
import Glibc
public import LXCCore
public import Logging

/// A primary store in a directory that is there already: a local disk, or a file system mounted on every host
/// (CloudStack's SharedMountPoint and Filesystem pools).
///
/// `<path>/<uuid>/` are the templates and volumes; `<path>/.lxc/` holds what this package knows of them. Hosts exclude
/// each other by locks of the file system (fcntl), which cluster file systems and NFS carry between them.
public struct SharedMountPointStore: DiskStore {
    /// The store's directory.
    public let path: String

    let pool: Pool

    /// Opens the store in a directory, giving it its identity at the first opening.
    ///
    /// - Parameters:
    ///   - path: a directory that exists; nothing is mounted.
    ///   - id: the pool's uuid; nil takes the one the directory has, or a new one.
    ///   - pool: threads for file operations.
    ///   - logger: takes what is done, at `debug` and `info`.
    /// - Throws: `LXCError` `notFound` when the directory is missing, `invalidArgument` when it belongs to a
    ///   pool of another id, `unsafe` when others come to its control directory, `permissionDenied`, `io`.
    public init(
        path: String, id: PoolID? = nil, pool: BlockingPool = .shared,
        logger: Logger = Logger(label: "lxc-hypervisor.store")
    ) async throws {
        // Absolute: libvirt is told of directories below it, and works in another directory.
        let root = URL(filePath: path).standardized.path(percentEncoded: false)
        self.path = root.count > 1 && root.hasSuffix("/") ? String(root.dropLast()) : root
        self.pool = try await Pool(LocalStoreFiles(self.path, pool: pool), id: id, threads: pool, logger: logger)
    }

    /// The identity kept in the directory.
    public var id: PoolID { pool.id }

    /// The file system's size and what of it is free.
    public func capacity() async throws -> StoreCapacity { try await pool.capacity() }

    /// The directories named by a UUID, and what is known of them.
    public func contents() async throws -> StoreContents { try await pool.contents() }

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

    /// The volume's directory itself, checked to be one a container can be started from; of a disk its file.
    public func hostPath(of volume: VolumeID) async throws -> String {
        let record = try await pool.requireSafeVolume(volume)
        let path = "\(path)/\(StoreLayout.object(volume))"
        if record?.idMap != nil || record?.kind == .disk {
            try await pool.threads.run { _ in try Self.requirePassage(to: path) }
        }
        return path
    }

    /// The root of an unprivileged container is nobody on the host, and a virtual machine is run by a user of no rights:
    /// both come to their files only where everybody may pass.
    private static func requirePassage(to path: String) throws {
        var directory = path[...]
        while let slash = directory.lastIndex(of: "/"), slash > directory.startIndex {
            directory = directory[..<slash]
            var status = stat()
            guard stat(String(directory), &status) == 0 else {
                throw LXCError.lastSystemCall("stat", "look at \(directory)")
            }
            guard status.st_mode & 0o001 != 0 else {
                throw LXCError(
                    .permissionDenied,
                    "neither an unprivileged container nor a virtual machine can come to its files through \(directory); chmod "
                        + "o+x that directory")
            }
        }
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
