// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
import LXCTesting
import PrimaryStore
import TestSupport
import Testing

@Suite(.limited)
struct ConformanceTests {
    private static let inMemory = PrimaryStoreConformance(options: withoutHostPaths) { check in
        try await check(InMemoryPrimaryStore())
    }

    private static let sharedMountPoint = PrimaryStoreConformance(options: Fixture.options) { check in
        let directory = try ScratchDirectory()
        try await check(SharedMountPointStore.create(at: directory.path))
        withExtendedLifetime(directory) {}
    }

    private static var withoutHostPaths: PrimaryStoreConformance.Options {
        var options = PrimaryStoreConformance.Options()
        options.hasHostPaths = false
        options.keepsContents = false
        return options
    }

    /// Neither without a way to open it again, nor with one that gives the same or an empty one.
    @Test func aStoreInMemoryKeepsNothing() async throws {
        let reopens: [(@Sendable (any PrimaryStore) async throws -> any PrimaryStore)?] = [
            nil, { $0 }, { _ in InMemoryPrimaryStore() },
        ]
        for reopen in reopens {
            var options = Self.withoutHostPaths
            options.keepsContents = true
            options.reopen = reopen
            let conformance = PrimaryStoreConformance(options: options) { try await $0(InMemoryPrimaryStore()) }
            let lasting = conformance.checks.filter { rule in !Self.inMemory.checks.contains { $0.id == rule.id } }
            #expect(lasting.count == 4)
            for check in lasting {
                await #expect(throws: ConformanceFailure.self, "\(check.rule)") { try await check.run() }
            }
        }
    }

    @Test(arguments: inMemory.checks)
    func inMemoryStore(_ check: ConformanceCheck) async throws { try await check.run() }

    @Test(arguments: sharedMountPoint.checks)
    func sharedMountPointStore(_ check: ConformanceCheck) async throws { try await check.run() }

    @Test func theSuiteFindsAStoreThatReadsItsOriginTwice() async {
        let broken = PrimaryStoreConformance(options: Self.withoutHostPaths) { check in
            try await check(EagerStore())
        }
        let rule = "installing a template again returns the first without reading the origin"
        let error = await #expect(throws: ConformanceFailure.self) {
            for check in broken.checks where check.rule == rule { try await check.run() }
        }
        #expect(error?.rule == rule)
    }
}

/// A store that reads an origin before it looks whether it must.
private struct EagerStore: PrimaryStore {
    private let store = InMemoryPrimaryStore()
    var id: PoolID { store.id }

    func capacity() async throws -> StoreCapacity { try await store.capacity() }
    func contents() async throws -> StoreContents { try await store.contents() }
    func volume(_ id: VolumeID) async throws -> StoredVolume? { try await store.volume(id) }
    func installTemplate(
        _ id: TemplateID, from origin: any TreeOrigin, expecting expected: TreeDigest?, limits: TreeLimits,
        progress: ProgressHandler?
    ) async throws -> StoredTemplate {
        _ = try origin.openForReading(TreeOpening(limits: limits))
        return try await store.installTemplate(
            id, from: origin, expecting: expected, limits: limits, progress: progress)
    }
    func verifyTemplate(
        _ id: TemplateID, progress: ProgressHandler?
    ) async throws -> [TreeManifest.Difference] {
        try await store.verifyTemplate(id, progress: progress)
    }
    func deleteTemplate(_ id: TemplateID) async throws { try await store.deleteTemplate(id) }
    func createVolume(
        _ id: VolumeID, from template: TemplateID, idMap: IDMap?, progress: ProgressHandler?
    ) async throws -> StoredVolume {
        try await store.createVolume(id, from: template, idMap: idMap, progress: progress)
    }
    func deleteVolume(_ id: VolumeID) async throws { try await store.deleteVolume(id) }
    func hostPath(of volume: VolumeID) async throws -> String { try await store.hostPath(of: volume) }
    func lease(on volume: VolumeID) async throws -> VolumeLease? { try await store.lease(on: volume) }
    func leases() async throws -> [VolumeLease] { try await store.leases() }
    func acquireLease(
        on volume: VolumeID, for holder: String, use: String?, lasting duration: Duration?
    ) async throws -> VolumeLease {
        try await store.acquireLease(on: volume, for: holder, use: use, lasting: duration)
    }
    func renewLease(
        on volume: VolumeID, for holder: String, lasting duration: Duration?
    ) async throws -> VolumeLease {
        try await store.renewLease(on: volume, for: holder, lasting: duration)
    }
    func releaseLease(_ lease: VolumeLease) async throws { try await store.releaseLease(lease) }
    func breakLease(on volume: VolumeID) async throws -> Bool { try await store.breakLease(on: volume) }
    func collectGarbage() async throws -> Int { try await store.collectGarbage() }
}
