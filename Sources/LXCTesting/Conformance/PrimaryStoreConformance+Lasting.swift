// SPDX-License-Identifier: Apache-2.0

import Dispatch
import FileTree
import LXCCore
import PrimaryStore

/// The guarantees of a store beyond the program that has it open: for later and concurrent programs, and killed ones.
extension PrimaryStoreConformance {
    var lastingChecks: [ConformanceCheck] {
        [
            checkTwice("what a store has is there when it is opened again") { store, reopen, tree in
                let template = try await store.installTemplate(.random(), from: tree)
                let volume = try await store.createVolume(.random(), from: template.id)
                let lease = try await store.acquireLease(on: volume.id, for: "host-a")
                let expected = try await store.contents()
                let again = try await reopen()
                try requireEqual(again.id, store.id, "the pool's id")
                try requireEqual(await again.contents(), expected, "the contents")
                try requireEqual(await again.volume(volume.id), volume, "the volume")
                try requireEqual(await again.verifyTemplate(template.id, progress: nil), [], "the differences")
                try await requireError(.inUse, by: "a second holder's lease") {
                    try await again.acquireLease(on: volume.id, for: "host-b")
                }
                _ = try await again.renewLease(on: volume.id, for: "host-a", lasting: nil)
                try await again.releaseLease(lease)
                try await again.deleteVolume(volume.id)
                try await again.deleteTemplate(template.id)
                try requireEqual(await reopen().contents(), StoreContents(), "the contents after the deletions")
            },
            checkTwice("two that have a store open see what the other does") { store, reopen, tree in
                let other = try await reopen()
                let template = try await store.installTemplate(.random(), from: tree).id
                let volume = try await other.createVolume(.random(), from: template)
                try requireEqual(await store.contents().volumes, [volume], "the volumes")
                try await requireError(.inUse, by: "deleting the template") { try await store.deleteTemplate(template) }
                let lease = try await store.acquireLease(on: volume.id, for: "host-a")
                try await requireError(.inUse, by: "deleting the volume") { try await other.deleteVolume(volume.id) }
                try await store.releaseLease(lease)
                try await store.deleteVolume(volume.id)
                try await other.deleteTemplate(template)
                try requireEqual(await store.contents(), StoreContents(), "the contents")
            },
            checkTwice("of creations of one volume from two sides one succeeds") { store, reopen, tree in
                let other = try await reopen()
                let template = try await store.installTemplate(.random(), from: tree).id
                let id = VolumeID.random()
                let results = await Self.eight { number in
                    try await (number.isMultiple(of: 2) ? store : other).createVolume(id, from: template)
                }
                try Self.requireOne(of: results, others: .alreadyExists, "creation")
                let holders = await Self.eight { number in
                    try await (number.isMultiple(of: 2) ? store : other).acquireLease(on: id, for: "host-\(number)")
                }
                try Self.requireOne(of: holders, others: .inUse, "lease")
            },
            checkTwice("what one installs is neither seen nor collected nor begun again by the other") {
                store, reopen, tree in
                let other = try await reopen()
                let (reached, signal) = AsyncStream<Void>.makeStream()
                let goOn = DispatchSemaphore(value: 0)
                var slow = tree
                slow.beforeEntry = { index in
                    guard index == 2 else { return }
                    signal.finish()
                    goOn.wait()
                }
                let id = TemplateID.random()
                let installation = Task { [slow] in try await store.installTemplate(id, from: slow) }
                for await _ in reached {}
                let unread = MemoryTree("a tree that must not be read")
                let second = Task { try await other.installTemplate(id, from: unread) }
                let seen: Result<(StoreContents, Int), any Error>
                do { seen = .success((try await other.contents(), try await other.collectGarbage())) } catch {
                    seen = .failure(error)
                }
                goOn.signal()
                let template = try await installation.value
                try requireEqual(seen.get().0, StoreContents(), "the contents while it was installed")
                try requireEqual(seen.get().1, 0, "the number of leftovers while it was installed")
                try requireEqual(await second.value, template, "what the second installation returns")
                try requireEqual(unread.timesOpened, 0, "the number of times the second origin was opened")
                try requireEqual(await store.verifyTemplate(id, progress: nil), [], "the differences")
            },
        ] + [tamperCheck, killCheck].compactMap(\.self)
    }

    private static func requireOne(
        of results: [Result<some Any, any Error>], others code: LXCError.Code, _ what: String
    ) throws {
        for case .failure(let error) in results {
            try requireEqual((error as? LXCError)?.code, code, "the code of \(error), by which a \(what) failed,")
        }
        try requireEqual(results.count { (try? $0.get()) != nil }, 1, "the number of times the \(what) succeeded")
    }

    private var tamperCheck: ConformanceCheck? {
        guard let tamper = options.tamper else { return nil }
        return checkTwice("a template that was tampered with does not verify, whoever looks") { store, reopen, tree in
            let template = try await store.installTemplate(.random(), from: tree).id
            let whole = try await store.installTemplate(.random(), from: tree).id
            try await tamper(store, template)
            for store in [store, try await reopen()] {
                let differences: [TreeManifest.Difference]
                do {
                    differences = try await store.verifyTemplate(template, progress: nil)
                } catch let error as LXCError where error.code == .corrupt {
                    continue
                }
                try require(!differences.isEmpty, "the template that was tampered with verifies")
                try requireEqual(await store.verifyTemplate(whole, progress: nil), [], "the other's differences")
            }
            try await store.deleteTemplate(template)
        }
    }

    private var killCheck: ConformanceCheck? {
        guard let killInstaller = options.killInstaller else { return nil }
        return checkTwice("an installer that is killed leaves nothing to be seen, and nothing once it is collected") {
            store, reopen, tree in
            let whole = try await store.installTemplate(.random(), from: tree)
            let id = TemplateID.random()
            try await killInstaller(store, id)
            let again = try await reopen()
            for store in [store, again] {
                try requireEqual(await store.contents(), StoreContents(templates: [whole]), "the contents")
                try await requireError(.notFound, by: "cloning what was half installed") {
                    try await store.createVolume(.random(), from: id)
                }
            }
            try require(try await again.collectGarbage() > 0, "the killed program left nothing, so nothing is proven")
            try requireEqual(await again.collectGarbage(), 0, "the number of leftovers afterwards")
            _ = try await again.installTemplate(id, from: tree)
            try await killInstaller(store, .random())
            try requireEqual(await store.contents().templates.count, 2, "the number of templates")
        }
    }

    /// A rule for a store that is opened more than once.
    private func checkTwice(
        _ rule: String,
        _ body:
            @escaping @Sendable (
                any PrimaryStore, @escaping @Sendable () async throws -> any PrimaryStore, MemoryTree
            ) async throws -> Void
    ) -> ConformanceCheck {
        check(rule) { [reopen = options.reopen] store, tree in
            guard let reopen else { throw Broken(found: "nothing opens the store again: Options.reopen is nil") }
            let again: @Sendable () async throws -> any PrimaryStore = {
                let other = try await reopen(store)
                try require(
                    !(type(of: other) is AnyClass) || (other as AnyObject) !== (store as AnyObject),
                    "reopening returns the very same object, which another program cannot have")
                return other
            }
            try await body(store, again, tree)
        }
    }
}
