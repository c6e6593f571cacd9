// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
import LXCTesting
import PrimaryStore
import TestSupport
import Testing

@Suite(.limited)
struct InMemoryPrimaryStoreTests {
    private let store = InMemoryPrimaryStore(capacity: .kibibytes(1))

    @Test func faultsAreThrownInOrderAndOnce() async throws {
        await store.failNext(with: LXCError(.unavailable, "first"))
        await store.failNext(with: LXCError(.io, "second"))
        await expect(.unavailable) { try await store.contents() }
        let tree = MemoryTree.smallRoot()
        await expect(.io) { try await store.installTemplate(.random(), from: tree) }
        #expect(tree.timesOpened == 0)
        _ = try await store.installTemplate(.random(), from: tree)
    }

    @Test func treesAreKeptWithTheirMappedOwners() async throws {
        let template = try await store.installTemplate(.random(), from: MemoryTree.smallRoot(user: 1, group: 2)).id
        let map = try IDMap(host: 100, count: 10)
        let volume = try await store.createVolume(.random(), from: template, idMap: map).id
        let file = try #require(await store.tree(of: volume)?["etc/hostname"])
        #expect(file.contents == Array("box\n".utf8))
        #expect(file.entry.user == 101)
        #expect(file.entry.group == 102)
        #expect(await store.tree(of: template)?["etc/hostname"]?.entry.user == 1)
        #expect(await store.tree(of: VolumeID.random()) == nil)
    }

    @Test func aFullStoreRefusesAndKeepsNothing() async throws {
        var tree = MemoryTree.smallRoot()
        try tree.addFile("tmp/large", String(repeating: "x", count: 2_000))
        let large = tree
        let error = await expect(.io) {
            try await store.installTemplate(.random(), from: large)
        }
        #expect(error?.description.contains("No space left") == true)
        #expect(try await store.contents() == StoreContents())
        #expect(try await store.capacity().available == .kibibytes(1))
    }
}

@Suite(.limited)
struct MemoryTreeTests {
    @Test func copiesIntoMemoryAreEqual() async throws {
        var tree = MemoryTree.smallRoot(user: 5, group: 6)
        try tree.addDirectory("var/lib", mode: 0o700)
        try tree.addFile("var/lib/data", "0123456789")
        try tree.addSymbolicLink("var/link", to: "lib/data")
        let destination = MemoryTreeDestination()
        let summary = try await TreeCopy.run(from: tree, to: destination)
        let copy = try #require(destination.tree)
        #expect(copy["var/lib/data"] == tree["var/lib/data"])
        #expect(copy["var/link"] == tree["var/link"])
        // `var` has no entry of its own: it is made as documented.
        #expect(copy["var"]?.entry.mode == 0o755)
        #expect(copy["var"]?.entry.user == 0)
        #expect(try await TreeCopy.examine(copy).digest == summary.digest)
        await #expect(throws: LXCError.self) { try await TreeCopy.run(from: tree, to: destination) }
    }

    @Test func pathsThatLeaveTheTreeAreRefused() {
        var tree = MemoryTree()
        for path in ["", "/etc", "../x", "a/../../x", "a\u{0}b"] {
            #expect(throws: LXCError.self) { try tree.addFile(path) }
        }
        #expect(tree.nodes.isEmpty)
    }

    @Test func failedCopiesKeepNothing() async {
        var tree = MemoryTree.smallRoot()
        tree.beforeEntry = { if $0 == 4 { throw LXCError(.corrupt, "broken") } }
        let failing = tree
        let destination = MemoryTreeDestination()
        await expect(.corrupt) { try await TreeCopy.run(from: failing, to: destination) }
        #expect(destination.tree == nil)
        #expect(failing.timesOpened == 1)
    }
}
