// SPDX-License-Identifier: Apache-2.0

import AuditedStore
import FileTree
import Foundation
import LXCCore
import LXCTesting
import PrimaryStore
import Synchronization
import Testing

/// A store of one's own is checked with the suite every store of the package passes.
@Suite(.timeLimit(.minutes(10)))
struct AuditedStoreTests {
    private static let conformance = PrimaryStoreConformance(options: options) { check in
        try await withDirectory { try await check(AuditedStore.create(at: $0) { _ in }) }
    }

    private static let tree = MemoryTree.smallRoot(user: geteuid(), group: getegid())

    private static var options: PrimaryStoreConformance.Options {
        var options = PrimaryStoreConformance.Options()
        options.tree = tree
        options.mapsOwners = geteuid() == 0
        options.reopen = { store in
            try await AuditedStore(path: #require(store as? AuditedStore).hostDirectory()) { _ in }
        }
        options.tamper = { store, template in
            let path = try #require(store as? AuditedStore).hostDirectory()
            try Data("tampered".utf8).write(to: URL(filePath: "\(path)/\(template)/etc/hostname"))
        }
        return options
    }

    @Test(arguments: conformance.checks)
    func conforms(_ check: ConformanceCheck) async throws { try await check.run() }

    @Test func theAuditSeesWhatAppearsAndLeaves() async throws {
        let trail = Trail()
        try await Self.withDirectory { path in
            let store = try await AuditedStore.create(at: path) { trail.append($0) }
            let template = try await store.installTemplate(.random(), from: Self.tree).id
            let volume = try await store.createVolume(.random(), from: template).id
            try await store.deleteVolume(volume)
            #expect(trail.changes == [.added(template.uuid), .added(volume.uuid), .removed(volume.uuid)])
        }
    }

    @Test func whatTheAuditRefusesDoesNotHappen() async throws {
        try await Self.withDirectory { path in
            let store = try await AuditedStore.create(at: path) { change in
                if case .removed = change { throw LXCError(.permissionDenied, "nothing is removed here") }
            }
            let template = try await store.installTemplate(.random(), from: Self.tree)
            let error = await #expect(throws: LXCError.self) { try await store.deleteTemplate(template.id) }
            #expect(error?.code == .permissionDenied)
            #expect(try await store.contents().templates == [template])
        }
    }

    private static func withDirectory(_ body: (String) async throws -> Void) async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(at: directory) }
        try await body(directory.path)
    }
}

/// What was audited, in sequence.
private final class Trail: Sendable {
    private let recorded = Mutex<[AuditedStore.Change]>([])

    var changes: [AuditedStore.Change] { recorded.withLock { $0 } }

    func append(_ change: AuditedStore.Change) { recorded.withLock { $0.append(change) } }
}
