// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCHypervisor
import LXCTesting
import LinuxSystem
import PrimaryStore

/// A store that refuses to say all it holds.
struct UnlistedStore: PrimaryStore {
    let base: InMemoryPrimaryStore

    var id: PoolID { base.id }

    func contents() async throws -> StoreContents { throw LXCError(.io, "the store was listed") }
    func capacity() async throws -> StoreCapacity { try await base.capacity() }
    func installTemplate(
        _ id: TemplateID, from origin: any TreeOrigin, expecting expected: TreeDigest?, limits: TreeLimits,
        progress: ProgressHandler?
    ) async throws -> StoredTemplate {
        try await base.installTemplate(id, from: origin, expecting: expected, limits: limits, progress: progress)
    }
    func verifyTemplate(_ id: TemplateID, progress: ProgressHandler?) async throws -> [TreeManifest.Difference] {
        try await base.verifyTemplate(id, progress: progress)
    }
    func deleteTemplate(_ id: TemplateID) async throws { try await base.deleteTemplate(id) }
    func createVolume(
        _ id: VolumeID, from template: TemplateID, idMap: IDMap?, progress: ProgressHandler?
    ) async throws -> StoredVolume {
        try await base.createVolume(id, from: template, idMap: idMap, progress: progress)
    }
    func deleteVolume(_ id: VolumeID) async throws { try await base.deleteVolume(id) }
    func hostPath(of volume: VolumeID) async throws -> String { try await base.hostPath(of: volume) }
    func root(of volume: VolumeID) async throws -> ConfinedRoot { try await base.root(of: volume) }
    func volume(_ id: VolumeID) async throws -> StoredVolume? { try await base.volume(id) }
    func lease(on volume: VolumeID) async throws -> VolumeLease? { try await base.lease(on: volume) }
    func leases() async throws -> [VolumeLease] { try await base.leases() }
    func acquireLease(
        on volume: VolumeID, for holder: String, use: String?, lasting duration: Duration?
    ) async throws -> VolumeLease {
        try await base.acquireLease(on: volume, for: holder, use: use, lasting: duration)
    }
    func renewLease(
        on volume: VolumeID, for holder: String, lasting duration: Duration?
    ) async throws -> VolumeLease {
        try await base.renewLease(on: volume, for: holder, lasting: duration)
    }
    func releaseLease(_ lease: VolumeLease) async throws { try await base.releaseLease(lease) }
    func breakLease(on volume: VolumeID) async throws -> Bool { try await base.breakLease(on: volume) }
    func collectGarbage() async throws -> Int { try await base.collectGarbage() }
}
