// SPDX-License-Identifier: Apache-2.0

public import FileTree
public import LXCCore
public import PrimaryStore

extension LXCHypervisor {
    /// A stand-in for a primary store that currently cannot be reached, for example because it is not mounted. A host
    /// composed with it can stop and suspend containers; every operation that needs their volumes fails with the
    /// reason. The service releases what a stopped container holds in the store once the store is available again.
    public struct UnreachableStore: PrimaryStore {
        /// The id of the pool that cannot be reached.
        public let id: PoolID
        /// Why the pool cannot be reached.
        public let reason: LXCError

        /// Creates a stand-in for a store that cannot be reached.
        public init(_ id: PoolID, because reason: LXCError) {
            self.id = id
            self.reason = reason
        }

        /// Fails with the reason.
        public func capacity() async throws -> StoreCapacity { throw reason }

        /// Fails with the reason.
        public func contents() async throws -> StoreContents { throw reason }

        /// Fails with the reason.
        public func installTemplate(
            _ id: TemplateID, from origin: any TreeOrigin, expecting expected: TreeDigest?, limits: TreeLimits,
            progress: ProgressHandler?
        ) async throws -> StoredTemplate { throw reason }

        /// Fails with the reason.
        public func verifyTemplate(
            _ id: TemplateID, progress: ProgressHandler?
        ) async throws -> [TreeManifest.Difference] { throw reason }

        /// Fails with the reason.
        public func deleteTemplate(_ id: TemplateID) async throws { throw reason }

        /// Fails with the reason.
        public func createVolume(
            _ id: VolumeID, from template: TemplateID, idMap: IDMap?, progress: ProgressHandler?
        ) async throws -> StoredVolume { throw reason }

        /// Fails with the reason.
        public func deleteVolume(_ id: VolumeID) async throws { throw reason }

        /// Fails with the reason.
        public func hostPath(of volume: VolumeID) async throws -> String { throw reason }

        /// Fails with the reason.
        public func lease(on volume: VolumeID) async throws -> VolumeLease? { throw reason }

        /// Fails with the reason.
        public func leases() async throws -> [VolumeLease] { throw reason }

        /// Fails with the reason.
        public func acquireLease(
            on volume: VolumeID, for holder: String, use: String?, lasting duration: Duration?
        ) async throws -> VolumeLease { throw reason }

        /// Fails with the reason.
        public func renewLease(
            on volume: VolumeID, for holder: String, lasting duration: Duration?
        ) async throws -> VolumeLease { throw reason }

        /// Fails with the reason.
        public func releaseLease(_ lease: VolumeLease) async throws { throw reason }

        /// Fails with the reason.
        public func breakLease(on volume: VolumeID) async throws -> Bool { throw reason }

        /// Fails with the reason.
        public func collectGarbage() async throws -> Int { throw reason }
    }
}
