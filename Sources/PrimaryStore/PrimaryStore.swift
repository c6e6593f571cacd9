public import FileTree
public import LXCCore
public import LinuxSystem

/// Where templates are unpacked and containers have their root volumes: CloudStack's primary storage.
///
/// Whatever happens, also `kill -9` and power loss, an object is there whole or not at all. Every operation may be
/// called from several tasks, processes and hosts at once.
///
/// Check a conforming type of your own with `PrimaryStoreConformance` of the LXCTesting product.
public protocol PrimaryStore: Sendable {
    /// Names the pool.
    var id: PoolID { get }

    /// How much room there is.
    ///
    /// - Throws: `LXCError` `unavailable` or `io`.
    func capacity() async throws -> StoreCapacity

    /// What the store holds.
    ///
    /// - Throws: `LXCError` `unavailable` or `io`.
    func contents() async throws -> StoreContents

    /// One volume of a container.
    ///
    /// - Returns: what is known of it; nil where there is no volume of that id.
    /// - Throws: `LXCError` `corrupt` when it is there and its record cannot be read, `unavailable`, `io`.
    func volume(_ id: VolumeID) async throws -> StoredVolume?

    /// Unpacks a template once (PrimaryStorageDownload). When it is there already, or another task or host is
    /// installing it, returns what that made.
    ///
    /// - Parameters:
    ///   - id: the template's name on this store.
    ///   - origin: where its tree is read from.
    ///   - expected: the digest the tree must have, also one that is there already; nil accepts any.
    ///   - limits: what is accepted of the origin.
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
    /// - Returns: the entries that differ, ordered by path; none when the template is as it was installed.
    /// - Throws: `LXCError` `notFound` without that template, `unsupported` for one this package did not install,
    ///   `corrupt` when it differs and what it was made of is not known any more, `io`; `CancellationError`.
    func verifyTemplate(_ id: TemplateID, progress: ProgressHandler?) async throws -> [TreeManifest.Difference]

    /// Removes a template, or an object that cannot be told. Succeeds if it is not there.
    ///
    /// - Throws: `LXCError` `inUse` while a volume was cloned from it, or something is mounted inside; `io`.
    func deleteTemplate(_ id: TemplateID) async throws

    /// Clones a template into a new root volume (Create).
    ///
    /// - Parameters:
    ///   - id: the volume's name.
    ///   - template: the template to clone.
    ///   - idMap: owners are mapped through it; nil keeps them.
    ///   - progress: called while it is cloned.
    /// - Returns: the volume.
    /// - Throws: `LXCError` `notFound` without that template, `alreadyExists`, `invalidArgument` for an owner
    ///   outside the map, `io`; `CancellationError`. Nothing is left in the store then.
    func createVolume(
        _ id: VolumeID, from template: TemplateID, idMap: IDMap?, progress: ProgressHandler?
    ) async throws -> StoredVolume

    /// Removes a volume, or an object that cannot be told. Succeeds if it is not there.
    ///
    /// - Throws: `LXCError` `inUse` while it is leased, or something is mounted inside; `io`.
    func deleteVolume(_ id: VolumeID) async throws

    /// The directory on this host in which the volume's root is, for a container to be started from; of a disk its file.
    ///
    /// - Throws: `LXCError` `notFound`, `unavailable`; `unsafe` when the container put links in the place of
    ///   directories the host mounts on (`dev`, `proc`, `sys`, `run`), or a disk refers to another file for its contents.
    func hostPath(of volume: VolumeID) async throws -> String

    /// The volume's root, to change files in it while nobody runs from it.
    ///
    /// - Throws: as ``hostPath(of:)``.
    func root(of volume: VolumeID) async throws -> ConfinedRoot

    /// The lease on a volume, also one that ended; nil where there is none.
    ///
    /// - Throws: `LXCError` `corrupt`, `unavailable`, `io`.
    func lease(on volume: VolumeID) async throws -> VolumeLease?

    /// All leases there are, ordered by volume.
    ///
    /// - Throws: `LXCError` `unavailable`, `io`.
    func leases() async throws -> [VolumeLease]

    /// Takes a volume for a host. A host that has it already for the same use takes its own lease over: the new lease has
    /// another token, and the earlier one cannot be given back any more.
    ///
    /// - Parameters:
    ///   - volume: the volume.
    ///   - holder: names the host.
    ///   - use: what the host uses it for; nil is not compared.
    ///   - duration: how long the lease holds unless its holder renews it before; nil until it is given back.
    /// - Returns: the lease, which is what gives the volume back. Any host may take an expired lease; its former holder then
    ///   gets `inUse`.
    /// - Throws: `LXCError` `notFound` without that volume, `inUse` naming the holder when it is another, or the use when
    ///   that is another; `invalidArgument` for a holder without a name or a duration that is not positive.
    func acquireLease(
        on volume: VolumeID, for holder: String, use: String?, lasting duration: Duration?
    ) async throws -> VolumeLease

    /// Lets a lease its holder has last longer, or for ever.
    ///
    /// - Parameters:
    ///   - volume: the volume.
    ///   - holder: names the host.
    ///   - duration: how long the lease holds from now on; nil until it is given back.
    /// - Returns: the lease. One that ended and became nobody's is begun anew; its `acquired` tells.
    /// - Throws: `LXCError` `notFound` without a lease or that volume, `inUse` naming the holder when it is another.
    @discardableResult
    func renewLease(
        on volume: VolumeID, for holder: String, lasting duration: Duration?
    ) async throws -> VolumeLease

    /// Gives a volume back, renewed or not since it was taken. A lease that is not there any more, or was taken since by
    /// somebody else or by the same holder, stays as it is.
    func releaseLease(_ lease: VolumeLease) async throws

    /// Takes a volume from whoever has it, for an operator who is certain that nobody uses it; also where what the store
    /// holds of the lease cannot be read. It is logged.
    ///
    /// - Returns: whether there was a lease.
    func breakLease(on volume: VolumeID) async throws -> Bool

    /// Removes what crashed operations left behind, never what one in progress still builds.
    ///
    /// - Returns: how many leftovers were removed.
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

    /// Takes a volume for a host.
    public func acquireLease(
        on volume: VolumeID, for holder: String, lasting duration: Duration? = nil
    ) async throws -> VolumeLease {
        try await acquireLease(on: volume, for: holder, use: nil, lasting: duration)
    }
}
