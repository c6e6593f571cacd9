// SPDX-License-Identifier: Apache-2.0

import FileTree
import Foundation
import LXCCore
import LXCTesting
import LinuxSystem
import Logging
import NFSClient
import NFSStoreFiles
import StoreFiles
import Synchronization
import TestSupport
import Testing

@testable import PrimaryStore

/// How much work is done, counted and not timed: what makes or deletes one object asks as much of a store of many as of
/// one of few, and what lists all goes through it once.
@Suite(.limited)
struct CountingTests {
    private static let few = 3
    private static let many = 40

    /// A place that counts what is asked of it.
    private struct Place {
        let files: CountingFiles
        let pool: Pool
        let template: TemplateID

        init(_ directory: String) async throws {
            let local = LocalStoreFiles(directory, pool: .shared, lockFile: StoreLayout.pool)
            files = CountingFiles(local)
            let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            pool = try await Pool.create(in: files, logger: logger)
            template = .random()
            _ = try await pool.installTemplate(
                template, from: Fixture.tree, expecting: nil, limits: TreeLimits(), progress: nil)
        }

        func volume() async throws -> VolumeID {
            try await pool.createVolume(.random(), from: template, idMap: nil, progress: nil).id
        }

        /// The calls that `body` makes.
        func count(_ body: () async throws -> Void) async throws -> Int {
            let before = files.calls
            try await body()
            return files.calls - before
        }

        /// The calls of each operation, as the store is now.
        func costs() async throws -> [String: Int] {
            var costs: [String: Int] = [:]
            let (pool, files) = (pool, files)
            var made: VolumeID?
            costs["create"] = try await count { made = try await volume() }
            let id = try #require(made)
            costs["find"] = try await count { _ = try await pool.volume(id) }
            costs["lease"] = try await count {
                let lease = try await pool.acquireLease(on: id, for: "a", use: nil, lasting: nil)
                try await pool.releaseLease(lease)
            }
            costs["delete"] = try await count { try await pool.deleteVolume(id) }
            costs["open"] = try await count {
                _ = try await Pool(opening: files, logger: pool.logger)
            }
            costs["list"] = try await count { _ = try await pool.contents() }
            costs["gc"] = try await count { _ = try await pool.collectGarbage() }
            return costs
        }
    }

    @Test func nothingGrowsWithTheNumberOfVolumes() async throws {
        let directory = try ScratchDirectory()
        let place = try await Place(directory.path)
        for _ in 0..<Self.few { _ = try await place.volume() }
        let before = try await place.costs()
        for _ in Self.few..<Self.many { _ = try await place.volume() }
        #expect(try await place.costs() == before)
        #expect(try await place.pool.contents().volumes.count == Self.many)
        #expect(before["list"] ?? .max <= 2)
    }

    @Test func deletingATemplateLooksAtItsOwnAlone() async throws {
        let directory = try ScratchDirectory()
        let place = try await Place(directory.path)
        let pool = place.pool
        func install() async throws -> TemplateID {
            try await pool.installTemplate(
                .random(), from: Fixture.tree, expecting: nil, limits: TreeLimits(), progress: nil
            ).id
        }
        let (first, second) = (try await install(), try await install())
        let before = try await place.count { try await pool.deleteTemplate(first) }
        for _ in 0..<Self.many { _ = try await place.volume() }
        #expect(try await place.count { try await pool.deleteTemplate(second) } == before)
        // And a refusal at the first that is there.
        let refusal = try await place.count {
            await expect(.inUse) { try await pool.deleteTemplate(place.template) }
        }
        #expect(refusal <= before)
    }

    /// Over NFS: one listing of each directory, which brings the attributes, and one READ for each record.
    @Test(.host(.root, .nfsServer)) func listingOverNFSAsksOnceForEachObject() async throws {
        let fixture = try NFSStoreTests.Fixture()
        let store = try await fixture.store()
        let template = try await store.installTemplate(.random(), from: MemoryTree.smallRoot(user: 0, group: 0)).id
        func count(_ body: () async throws -> Void) async throws -> Int {
            let files = try #require(store.pool.files as? NFSStoreFiles)
            let before = files.counters.answers
            try await body()
            return files.counters.answers - before
        }
        func make() async throws -> VolumeID { try await store.createVolume(.random(), from: template).id }
        for _ in 0..<Self.few { _ = try await make() }
        let few = try await count { _ = try await store.contents() }
        let created = try await count { _ = try await make() }
        for _ in Self.few + 1..<Self.many { _ = try await make() }
        let many = try await count { _ = try await store.contents() }
        #expect(many - few == Self.many - Self.few, "one READ for each volume more")
        #expect(few <= 10 + Self.few)
        var last: VolumeID?
        // Locks may be tried again, and are touched while they are held.
        #expect(try await count { last = try await make() } <= created + 4)
        let id = try #require(last)
        #expect(try await count { try await store.deleteVolume(id) } <= created + 4)
    }
}

/// Counts the calls that are made.
private final class CountingFiles: DecoratedStoreFiles {
    private let files: LocalStoreFiles
    private let counter = Mutex(0)

    init(_ files: LocalStoreFiles) { self.files = files }

    var calls: Int { counter.withLock { $0 } }
    var description: String { files.description }
    var locksTakeSpace: Bool { files.locksTakeSpace }

    /// Asked for by each call that is passed on.
    var base: any StoreFiles {
        counter.withLock { $0 += 1 }
        return files
    }
}
