public import FileTree
public import LXCCore

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

    /// Unpacks a template once (PrimaryStorageDownload). When it is there already, or another task or host is
    /// installing it, returns what that made.
    ///
    /// - Parameters:
    ///   - id: the template's name on this store.
    ///   - origin: where its tree is read from.
    ///   - expected: the digest the tree must have; nil accepts any.
    ///   - limits: what is accepted of the origin.
    ///   - progress: called while it is unpacked.
    /// - Returns: the template.
    /// - Throws: `LXCError` `corrupt` for a damaged archive or another digest, `unsafe`, `limitExceeded`, `io`;
    ///   `CancellationError`. Nothing is left in the store then.
    func installTemplate(
        _ id: TemplateID, from origin: any TreeOrigin, expecting expected: TreeDigest?, limits: TreeLimits,
        progress: ProgressHandler?
    ) async throws -> StoredTemplate

    /// Removes a template. What is not there is no error.
    ///
    /// - Throws: `LXCError` `inUse` while a volume was cloned from it, `io`.
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

    /// Removes a volume. What is not there is no error.
    ///
    /// - Throws: `LXCError` `inUse` while it is leased, `io`.
    func deleteVolume(_ id: VolumeID) async throws

    /// The directory on this host in which the volume's root is, for a container to be started from.
    ///
    /// - Throws: `LXCError` `notFound`, `unavailable`; `unsafe` when the container put links in the place of
    ///   directories the host mounts on (`dev`, `proc`, `sys`, `run`).
    func hostPath(of volume: VolumeID) async throws -> String

    /// Takes a volume for a host. A host that has it already gets its lease again.
    ///
    /// - Throws: `LXCError` `notFound` without that volume, `inUse` naming the holder when it is another.
    func acquireLease(on volume: VolumeID, for holder: String) async throws -> VolumeLease

    /// Gives a volume back. A lease that is not there, or is another holder's, stays as it is.
    func releaseLease(on volume: VolumeID, by holder: String) async throws

    /// Removes what crashed operations left behind, never what one in progress still builds.
    ///
    /// - Returns: how many leftovers were removed.
    func collectGarbage() async throws -> Int
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
}
