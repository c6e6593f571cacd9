// SPDX-License-Identifier: Apache-2.0

public import FileTree
public import LXCCore
public import StoreFiles

/// A primary store that is a ``Pool``, wherever that is.
///
/// A conforming type says which pool it is, and where this host sees it; everything else is inherited:
///
/// ```swift
/// struct ScratchStore: PooledStore {
///     let pool: Pool
///
///     init() async throws { pool = try await Pool(opening: Pool.directory("/srv/scratch")) }
///
///     func hostDirectory() -> String { "/srv/scratch" }
/// }
/// ```
///
/// Check a conforming type with `PrimaryStoreConformance` of the LXCTesting product.
public protocol PooledStore: DiskStore {
    /// The pool, with the place it is in.
    var pool: Pool { get }

    /// The directory of this host in which the pool is, for containers to be started from; mounts it where that is needed.
    ///
    /// - Returns: its absolute path.
    /// - Throws: `LXCError` `unavailable`.
    func hostDirectory() async throws -> String
}

extension PooledStore {
    /// The identity kept in the pool.
    public var id: PoolID { pool.id }

    /// The size of the pool's file system, and what of it is free.
    public func capacity() async throws -> StoreCapacity { try await pool.capacity() }

    /// The directories and files named by a UUID, and their records.
    public func contents() async throws -> StoreContents { try await pool.contents() }

    /// Reads the volume's record.
    public func volume(_ id: VolumeID) async throws -> StoredVolume? { try await pool.volume(id) }

    /// Unpacks a template in staging and publishes it by rename; a second caller waits and gets the first's template.
    /// Parts the place cannot hold are losses, which the digest shows.
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

    /// Moves a template away by rename, then removes it.
    public func deleteTemplate(_ id: TemplateID) async throws { try await pool.deleteTemplate(id) }

    /// Clones a template in staging and publishes the volume by rename.
    public func createVolume(
        _ id: VolumeID, from template: TemplateID, idMap: IDMap?, progress: ProgressHandler?
    ) async throws -> StoredVolume {
        try await pool.createVolume(id, from: template, idMap: idMap, progress: progress)
    }

    /// Moves a volume away by rename, then removes it.
    public func deleteVolume(_ id: VolumeID) async throws { try await pool.deleteVolume(id) }

    /// The volume's directory itself, checked to be one a container can be started from; for a disk its file. Lets the
    /// root of an unprivileged container, or QEMU's account, pass through the pool's directory, and no other user.
    public func hostPath(of volume: VolumeID) async throws -> String {
        let record = try await pool.requireSafeVolume(volume)
        let path = "\(try await hostDirectory())/\(StoreLayout.object(volume))"
        try await pool.requirePassage(to: volume, record, at: path)
        return path
    }

    /// Copies an image in staging and publishes it by rename; a second caller waits and gets the first's image.
    public func installImage(
        _ id: TemplateID, from image: DiskImage, progress: ProgressHandler?
    ) async throws -> StoredImage { try await pool.installImage(id, from: image, progress: progress) }

    /// Has the disk made in staging, checks it, and publishes it by rename.
    public func createDisk(
        _ id: VolumeID, over image: TemplateID, size: ByteCount?, make: (DiskOverlay) async throws -> Void
    ) async throws -> DiskOverlay {
        try await pool.createDisk(id, over: image, size: size, seenAt: hostDirectory(), make: make)
    }

    /// Reads the lease.
    public func lease(on volume: VolumeID) async throws -> VolumeLease? { try await pool.lease(on: volume) }

    /// Reads all leases. An unreadable one is omitted and logged.
    public func leases() async throws -> [VolumeLease] { try await pool.leases() }

    /// Writes the lease, which appears whole and for one holder only. Its end is by the place's clock.
    public func acquireLease(
        on volume: VolumeID, for holder: String, use: String?, lasting duration: Duration?
    ) async throws -> VolumeLease {
        try await pool.acquireLease(on: volume, for: holder, use: use, lasting: duration)
    }

    /// Writes the lease anew if it is the holder's.
    public func renewLease(
        on volume: VolumeID, for holder: String, lasting duration: Duration?
    ) async throws -> VolumeLease { try await pool.renewLease(on: volume, for: holder, lasting: duration) }

    /// Removes the lease file if it is still the same lease.
    public func releaseLease(_ lease: VolumeLease) async throws { try await pool.releaseLease(lease) }

    /// Removes the lease file, regardless of its holder.
    public func breakLease(on volume: VolumeID) async throws -> Bool { try await pool.breakLease(on: volume) }

    /// Removes unlocked entries of staging and trash, and records without a directory. Continues after entries that
    /// cannot be removed.
    ///
    /// - Throws: the first failure, after everything else is done.
    public func collectGarbage() async throws -> Int { try await pool.collectGarbage() }
}
