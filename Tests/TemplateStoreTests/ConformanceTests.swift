// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCCore
import LXCTesting
import TemplateStore
import TestSupport
import Testing

@Suite(.limited)
struct ConformanceTests {
    private static let inMemory = TemplateStoreConformance(keepsContents: false, withMemory)

    private static let withMemory: TemplateStoreConformance.WithSubject = { check in
        let store = InMemoryTemplateStore()
        let checksum = try Checksum(parsing: "{MD5}00112233445566778899aabbccddeeff")
        await store.addArchive(MemoryTree.smallRoot(), at: "/archive", checksum: checksum)
        var damaged = MemoryTree.smallRoot()
        damaged.beforeEntry = { if $0 == 3 { throw LXCError(.corrupt, "the archive is truncated") } }
        await store.addArchive(damaged, at: "/damaged")
        try await check(
            .init(
                store: store, archive: "/archive", checksum: checksum, damagedArchive: "/damaged",
                missingArchive: "/missing"))
    }

    private static let local = TemplateStoreConformance { check in
        let fixture = try Fixture()
        let gzip = try fixture.compressed(by: "gzip")
        let bytes = try fixture.directory.read("compressed")
        try fixture.directory.write(Array(bytes.prefix(bytes.count / 2)), to: "damaged")
        try await check(
            .init(
                store: fixture.store, archive: gzip,
                checksum: Checksum(parsing: "{SHA-256}" + fixture.checksum("sha256sum", of: gzip)),
                damagedArchive: fixture.directory["damaged"], missingArchive: fixture.directory["missing"],
                reopen: { _ in LocalSecondaryStorage(path: fixture.directory["secondary"]) }))
    }

    @Test(arguments: inMemory.checks)
    func inMemoryStore(_ check: ConformanceCheck) async throws { try await check.run() }

    @Test(arguments: local.checks)
    func localSecondaryStorage(_ check: ConformanceCheck) async throws { try await check.run() }

    /// Neither without a way to open it again, nor with one that gives the same or an empty one.
    @Test func aStoreInMemoryKeepsNothing() async throws {
        let reopens: [(@Sendable (any TemplateStore) async throws -> any TemplateStore)?] = [
            nil, { $0 }, { _ in InMemoryTemplateStore() },
        ]
        for reopen in reopens {
            let conformance = TemplateStoreConformance { check in
                try await Self.withMemory { subject in
                    var subject = subject
                    subject.reopen = reopen
                    try await check(subject)
                }
            }
            for check in conformance.checks.filter({ rule in !Self.inMemory.checks.contains { $0.id == rule.id } }) {
                await #expect(throws: ConformanceFailure.self, "\(check.rule)") { try await check.run() }
            }
            #expect(conformance.checks.count > Self.inMemory.checks.count)
        }
    }

    @Test func inMemoryStoresCanBeMadeToFail() async throws {
        let store = InMemoryTemplateStore()
        let key = TemplateKey(account: 1, id: 10)
        await store.addArchive(MemoryTree.smallRoot(), at: "/archive")
        await store.failNext(with: LXCError(.unavailable, "broken"))
        await #expect(throws: LXCError.self) { try await store.list() }
        _ = try await store.register(TemplateRegistration(key: key, name: "x", source: "/archive"), progress: nil)
        await store.replaceTree(of: key, with: MemoryTree.smallRoot(user: 7))
        await expect(.corrupt) { try await store.verify(key, progress: nil) }
        await store.breakTemplate(key, reason: "no properties")
        #expect(try await store.list().broken.map(\.reason) == ["no properties"])
        await expect(.corrupt) { try await store.template(key) }
    }
}
