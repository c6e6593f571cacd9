// SPDX-License-Identifier: Apache-2.0

public import FileTree
public import LXCCore
public import LinuxSystem

/// A place in which templates are unpacked and containers have their root volumes: CloudStack's primary storage.
///
/// After any failure, also `kill -9` and power loss, an object exists whole or not at all. Every operation may be
/// called from several tasks, processes and hosts concurrently.
///
/// Check a conforming type of your own with `PrimaryStoreConformance` of the LXCTesting product.
public protocol PrimaryStore: Sendable {
    /// Names the pool.
    var id: PoolID { get }

    /// The size of the store and its free space.
    ///
    /// - Throws: `LXCError` `unavailable` or `io`.
    func capacity() async throws -> StoreCapacity

    /// The contents of the store.
    ///
    /// - Throws: `LXCError` `unavailable` or `io`.
    func contents() async throws -> StoreContents

    /// One volume of a container.
    ///
    /// - Returns: the volume; nil if there is none of that id.
    /// - Throws: `LXCError` `corrupt` when it is there and its record cannot be read, `unavailable`, `io`.
    func volume(_ id: VolumeID) async throws -> StoredVolume?

    /// Unpacks a template once (PrimaryStorageDownload). When it is there already, or another task or host is
    /// installing it, returns what that made.
    ///
    /// - Parameters:
    ///   - id: the template's name on this store.
    ///   - origin: the origin of its tree.
    ///   - expected: the digest the tree must have, even if it exists already; nil accepts any.
    ///   - limits: the limits of the origin.
    ///   - progress: called while it is unpacked.
    /// - Returns: the template.
    /// - Throws: `LXCError` `corrupt` for a damaged archive or another digest, `unsafe`, `limitExceeded`, `io`;
    ///   `CancellationError`. Nothing is left in the store then.
    func installTemplate(
        _ id: TemplateID, from origin: any TreeOrigin, expecting expected: TreeDigest?, limits: TreeLimits,
        progress: ProgressHandler?
    ) async throws -> StoredTemplate

    /// Reads a template again and compares it with what was installed.
    ///
    /// - Parameters:
    ///   - id: the template.
    ///   - progress: called while it is read.
    /// - Returns: the entries that differ, ordered by path; empty if the template is unchanged.
    /// - Throws: `LXCError` `notFound` if there is no such template, `unsupported` for one that this package did not
    ///   install, `corrupt` if it differs and its original entries are not known any more, `io`; `CancellationError`.
    func verifyTemplate(_ id: TemplateID, progress: ProgressHandler?) async throws -> [TreeManifest.Difference]

    /// Removes a template, or an unrecognized object. Succeeds if it does not exist.
    ///
    /// - Throws: `LXCError` `inUse` while a volume was cloned from it, or something is mounted inside; `io`.
    func deleteTemplate(_ id: TemplateID) async throws

    /// Clones a template into a new root volume (Create).
    ///
    /// - Parameters:
    ///   - id: the volume's name.
    ///   - template: the template to clone.
    ///   - idMap: owners are mapped through it; nil leaves them unchanged.
    ///   - progress: called while it is cloned.
    /// - Returns: the volume.
    /// - Throws: `LXCError` `notFound` without that template, `alreadyExists`, `invalidArgument` for an owner
    ///   outside the map, `io`; `CancellationError`. Nothing is left in the store then.
    func createVolume(
        _ id: VolumeID, from template: TemplateID, idMap: IDMap?, progress: ProgressHandler?
    ) async throws -> StoredVolume

    /// Removes a volume, or an unrecognized object. Succeeds if it does not exist.
    ///
    /// - Throws: `LXCError` `inUse` while it is leased, or something is mounted inside; `io`.
    func deleteVolume(_ id: VolumeID) async throws

    /// The directory on this host in which the volume's root is, for a container to be started from; of a disk its file.
    ///
    /// - Throws: `LXCError` `notFound`, `unavailable`; `unsafe` when the container put links in the place of
    ///   directories the host mounts on (`dev`, `proc`, `sys`, `run`), or a disk refers to another file for its contents.
    func hostPath(of volume: VolumeID) async throws -> String

    /// The volume's root, for changing files in it while no container runs from it.
    ///
    /// - Throws: as ``hostPath(of:)``.
    func root(of volume: VolumeID) async throws -> ConfinedRoot

    /// The lease on a volume, even if it has expired; nil if there is none.
    ///
    /// - Throws: `LXCError` `corrupt`, `unavailable`, `io`.
    func lease(on volume: VolumeID) async throws -> VolumeLease?

    /// All leases there are, ordered by volume.
    ///
    /// - Throws: `LXCError` `unavailable`, `io`.
    func leases() async throws -> [VolumeLease]

    /// Leases a volume for a host. A host that holds it already for the same use takes its own lease over: the new
    /// lease has another token, and the earlier one can no longer be released.
    ///
    /// - Parameters:
    ///   - volume: the volume.
    ///   - holder: names the host.
    ///   - use: the host's use of the volume; nil matches any.
    ///   - duration: the time after which the lease expires unless its holder renews it; nil never.
    /// - Returns: the lease, which is what gives the volume back. Any host may take an expired lease; its former holder then
    ///   gets `inUse`.
    /// - Throws: `LXCError` `notFound` without that volume, `inUse` naming the holder when it is another, or the use when
    ///   that is another; `invalidArgument` for a holder without a name or a duration that is not positive.
    func acquireLease(
        on volume: VolumeID, for holder: String, use: String?, lasting duration: Duration?
    ) async throws -> VolumeLease

    /// Extends a lease held by this holder, or makes it permanent.
    ///
    /// - Parameters:
    ///   - volume: the volume.
    ///   - holder: names the host.
    ///   - duration: the time from now after which the lease expires; nil never.
    /// - Returns: the lease. One that expired and was removed is acquired anew; its `acquired` shows that.
    /// - Throws: `LXCError` `notFound` without a lease or that volume, `inUse` naming the holder when it is another.
    @discardableResult
    func renewLease(
        on volume: VolumeID, for holder: String, lasting duration: Duration?
    ) async throws -> VolumeLease

    /// Releases a lease, renewed or not since it was acquired. A lease that is gone, or was acquired since by another
    /// holder or again by the same one, stays unchanged.
    func releaseLease(_ lease: VolumeLease) async throws

    /// Removes any lease on a volume, for an operator who is certain that the volume is unused; works for unreadable
    /// leases, too. It is logged.
    ///
    /// - Returns: whether there was a lease.
    func breakLease(on volume: VolumeID) async throws -> Bool

    /// Removes what crashed operations left behind, never what one in progress still builds.
    ///
    /// - Returns: the number of leftovers removed.
    /// - Throws: `LXCError` naming what cannot be removed, once everything else is.
    func collectGarbage() async throws -> Int
}

extension PrimaryStore {
    /// Opens the directory at ``hostPath(of:)``.
    public func root(of volume: VolumeID) async throws -> ConfinedRoot {
        let path = try await hostPath(of: volume)
        return try await BlockingPool.shared.run { _ in try ConfinedRoot(path: path, shown: "volume \(volume)") }
    }
}

extension PrimaryStore {
    /// Looks through ``contents()``; a store that knows its objects by their names does better.
    public func volume(_ id: VolumeID) async throws -> StoredVolume? {
        try await contents().volumes.first { $0.id == id }
    }
}

extension PrimaryStore {
    /// Unpacks a template with the default limits, accepting any digest.
    public func installTemplate(_ id: TemplateID, from origin: any TreeOrigin) async throws -> StoredTemplate {
        try await installTemplate(id, from: origin, expecting: nil, limits: TreeLimits(), progress: nil)
    }

    /// Clones a template without progress.
    public func createVolume(
        _ id: VolumeID, from template: TemplateID, idMap: IDMap? = nil
    ) async throws -> StoredVolume {
        try await createVolume(id, from: template, idMap: idMap, progress: nil)
    }

    /// Leases a volume for a host.
    public func acquireLease(
        on volume: VolumeID, for holder: String, lasting duration: Duration? = nil
    ) async throws -> VolumeLease {
        try await acquireLease(on: volume, for: holder, use: nil, lasting: duration)
    }
}
