// SPDX-License-Identifier: Apache-2.0

import FileTree
import FoundationEssentials
import LXCCore
import PrimaryStore

extension PrimaryStoreConformance {
    /// A store with one template and one volume of it.
    private func checkVolume(
        _ rule: String, _ body: @escaping @Sendable (any PrimaryStore, StoredVolume) async throws -> Void
    ) -> ConformanceCheck {
        check(rule) { store, tree in
            let template = try await store.installTemplate(.random(), from: tree).id
            try await body(store, store.createVolume(.random(), from: template))
        }
    }

    var volumeChecks: [ConformanceCheck] {
        [
            check("a volume is listed as it was returned") { store, tree in
                let template = try await store.installTemplate(.random(), from: tree)
                let id = VolumeID.random()
                let volume = try await store.createVolume(id, from: template.id)
                try requireEqual(volume.id, id, "the volume's id")
                try requireEqual(volume.template, template.id, "the volume's template")
                try requireEqual(volume.idMap, nil, "the volume's id map")
                try requireEqual(volume.entries, template.entries, "the number of entries")
                try requireEqual(volume.logicalSize, template.logicalSize, "the logical size")
                let expected = StoreContents(templates: [template], volumes: [volume])
                try requireEqual(await store.contents(), expected, "the contents")
            },
            check("a volume needs its template") { store, _ in
                let id = VolumeID.random()
                try await requireError(.notFound, by: "creating the volume") {
                    try await store.createVolume(id, from: .random())
                }
                try requireEqual(await store.contents(), StoreContents(), "the contents")
                try await requireError(.notFound, by: "its host path") { try await store.hostPath(of: id) }
            },
            checkVolume("the name of a volume is taken once") { store, volume in
                guard let template = volume.template else { throw Broken(found: "the volume has no template") }
                try await requireError(.alreadyExists, by: "creating the volume again") {
                    try await store.createVolume(volume.id, from: template)
                }
                try requireEqual(await store.contents().volumes, [volume], "the volumes")
            },
            checkVolume("the name of a volume is no template's, nor the other way round") { store, volume in
                guard let template = volume.template else { throw Broken(found: "the volume has no template") }
                try await requireError(.alreadyExists, by: "installing a template of a volume's id") {
                    try await store.installTemplate(TemplateID(volume.id.uuid), from: MemoryTree.smallRoot())
                }
                try await requireError(.alreadyExists, by: "creating a volume of a template's id") {
                    try await store.createVolume(VolumeID(template.uuid), from: template)
                }
                try requireEqual(await store.contents().volumes, [volume], "the volumes")
                try requireEqual(await store.contents().templates.map(\.id), [template], "the templates")
            },
            checkVolume("deleting a volume removes it; deleting it again is no error") { store, volume in
                try await store.deleteVolume(volume.id)
                try requireEqual(await store.contents().volumes, [], "the volumes")
                try await requireError(.notFound, by: "its host path") { try await store.hostPath(of: volume.id) }
                try await store.deleteVolume(volume.id)
                try await store.deleteVolume(.random())
                try requireEqual(await store.collectGarbage(), 0, "the number of leftovers")
            },
        ]
    }

    var hostPathCheck: ConformanceCheck {
        check("the host path is a directory with the template's tree") { store, tree in
            let template = try await store.installTemplate(.random(), from: tree)
            let volume = try await store.createVolume(.random(), from: template.id)
            let path = try await store.hostPath(of: volume.id)
            try require(path.hasPrefix("/"), "the host path \(path) is not absolute")
            let found = try await TreeCopy.examine(LocalTree(path)).digest
            try requireEqual(found, template.digest, "the digest of the volume's directory")
        }
    }

    var ownerCheck: ConformanceCheck {
        check("an id map is applied and kept, and an owner outside of it leaves nothing") { store, tree in
            let template = try await store.installTemplate(.random(), from: tree)
            let map = try IDMap(host: 200_000, count: 1_000)
            let volume = try await store.createVolume(.random(), from: template.id, idMap: map)
            try requireEqual(volume.idMap, map, "the volume's id map")
            try requireEqual(await store.contents().volumes, [volume], "the volumes")

            var foreign = tree
            foreign.owner = (1_000, 0)
            try foreign.addFile("tmp/foreign")
            let other = try await store.installTemplate(.random(), from: foreign).id
            let refused = VolumeID.random()
            try await requireError(.invalidArgument, by: "an owner outside the map") {
                try await store.createVolume(refused, from: other, idMap: map)
            }
            try requireEqual(await store.contents().volumes, [volume], "the volumes after the failure")
            try requireEqual(await store.collectGarbage(), 0, "the number of leftovers")
            _ = try await store.createVolume(refused, from: other)
        }
    }

    // MARK: Leases

    var leaseChecks: [ConformanceCheck] {
        [
            checkVolume("a lease is one holder's, who gets it again") { store, volume in
                let lease = try await store.acquireLease(on: volume.id, for: "host-a")
                try requireEqual(lease.volume, volume.id, "the lease's volume")
                try requireEqual(lease.holder, "host-a", "the lease's holder")
                try requireEqual(await store.lease(on: volume.id), lease, "the lease that is kept")
                let again = try await store.acquireLease(on: volume.id, for: "host-a")
                try requireEqual(again.acquired, lease.acquired, "since when the same holder has it")
                try require(again.token != lease.token, "the lease that was taken over has the same token")
                let error = try await requireError(.inUse, by: "a second holder's lease") {
                    try await store.acquireLease(on: volume.id, for: "host-b")
                }
                try require(error.message.contains("host-a"), "the error does not name the holder: \(error)")
            },
            checkVolume("a lease is given back by its holder alone") { store, volume in
                let first = try await store.acquireLease(on: volume.id, for: "host-a")
                try await store.releaseLease(first)
                try await store.releaseLease(first)
                let second = try await store.acquireLease(on: volume.id, for: "host-b")
                try await store.releaseLease(first)
                try requireEqual(await store.lease(on: volume.id), second, "the lease after another was given back")
                try await store.releaseLease(second)
                try requireEqual(await store.lease(on: volume.id), nil, "the lease after it was given back")
            },
            checkVolume("a lease that was taken over is not given back by who had it before") { store, volume in
                let first = try await store.acquireLease(on: volume.id, for: "host-a", use: "a", lasting: nil)
                let second = try await store.acquireLease(on: volume.id, for: "host-a", use: "a", lasting: nil)
                try await store.releaseLease(first)
                try requireEqual(await store.lease(on: volume.id), second, "the lease")
                let renewed = try await store.renewLease(on: volume.id, for: "host-a", lasting: .seconds(300))
                try requireEqual(renewed.token, second.token, "the token of the renewed lease")
                // Renewed or not, it is what was taken.
                try await store.releaseLease(second)
                try requireEqual(await store.leases(), [], "the leases")
            },
            checkVolume("a lease is for one use of its holder") { store, volume in
                let lease = try await store.acquireLease(on: volume.id, for: "host-a", use: "a", lasting: nil)
                let error = try await requireError(.inUse, by: "the lease for another use") {
                    try await store.acquireLease(on: volume.id, for: "host-a", use: "b", lasting: nil)
                }
                try require(error.message.contains("for a"), "the error does not name the use: \(error)")
                try requireEqual(await store.leases(), [lease], "the leases")
                try await store.releaseLease(lease)
                _ = try await store.acquireLease(on: volume.id, for: "host-a", use: "b", lasting: nil)
            },
            checkVolume("a lease can be broken") { store, volume in
                try requireEqual(await store.breakLease(on: volume.id), false, "whether there was a lease")
                let lease = try await store.acquireLease(on: volume.id, for: "host-a")
                try requireEqual(await store.breakLease(on: volume.id), true, "whether there was a lease")
                _ = try await store.acquireLease(on: volume.id, for: "host-b")
                try await store.releaseLease(lease)
                try requireEqual(await store.lease(on: volume.id)?.holder, "host-b", "the holder")
            },
            checkVolume("a lease that ends is renewed by its holder, and anybody's when it ended") { store, volume in
                let first = try await store.acquireLease(on: volume.id, for: "host-a", lasting: .seconds(300))
                try require(first.expires != nil, "the lease does not end")
                try await requireError(.inUse, by: "a second holder's lease") {
                    try await store.acquireLease(on: volume.id, for: "host-b", lasting: .seconds(1))
                }
                let renewed = try await store.acquireLease(on: volume.id, for: "host-a", lasting: .seconds(600))
                try requireEqual(renewed.acquired, first.acquired, "the time the lease was acquired")
                try require((renewed.expires ?? .distantPast) > (first.expires ?? .distantFuture), "it ends no later")
                _ = try await store.acquireLease(on: volume.id, for: "host-a", lasting: .seconds(1))
                try await Task.sleep(for: .milliseconds(3_000))
                let taken = try await store.acquireLease(on: volume.id, for: "host-b")
                try requireEqual(taken.holder, "host-b", "the holder after the first lease's end")
                try require(taken.expires == nil, "the second lease ends")
                try await requireError(.inUse, by: "the first holder's renewal, too late") {
                    try await store.acquireLease(on: volume.id, for: "host-a", lasting: .seconds(600))
                }
                try await requireError(.invalidArgument, by: "a lease that lasts no time") {
                    try await store.acquireLease(on: volume.id, for: "host-b", lasting: .zero)
                }
                try await requireError(.invalidArgument, by: "a lease for nobody") {
                    try await store.acquireLease(on: volume.id, for: "")
                }
            },
            checkVolume("a lease is renewed by its holder alone, and only while there is one") { store, volume in
                try await requireError(.notFound, by: "renewing no lease") {
                    try await store.renewLease(on: volume.id, for: "host-a", lasting: .seconds(300))
                }
                let first = try await store.acquireLease(on: volume.id, for: "host-a", lasting: .seconds(300))
                let renewed = try await store.renewLease(on: volume.id, for: "host-a", lasting: nil)
                try requireEqual(renewed.acquired, first.acquired, "the time the lease was acquired")
                try require(renewed.expires == nil, "the renewed lease ends")
                try await requireError(.inUse, by: "renewing another's lease") {
                    try await store.renewLease(on: volume.id, for: "host-b", lasting: nil)
                }
                try await store.releaseLease(renewed)
                try await requireError(.notFound, by: "renewing a lease that was given back") {
                    try await store.renewLease(on: volume.id, for: "host-a", lasting: nil)
                }
            },
            checkVolume("a leased volume is not deleted") { store, volume in
                let lease = try await store.acquireLease(on: volume.id, for: "host-a")
                let error = try await requireError(.inUse, by: "deleting the volume") {
                    try await store.deleteVolume(volume.id)
                }
                try require(error.message.contains("host-a"), "the error does not name the holder: \(error)")
                try requireEqual(await store.contents().volumes, [volume], "the volumes")
                try await store.releaseLease(lease)
                try await store.deleteVolume(volume.id)
            },
            check("a lease needs its volume") { store, _ in
                let id = VolumeID.random()
                try await requireError(.notFound, by: "the lease") {
                    try await store.acquireLease(on: id, for: "host-a")
                }
                try requireEqual(await store.lease(on: id), nil, "the lease")
                try await store.releaseLease(VolumeLease(volume: id, holder: "host-a", acquired: Date()))
                try requireEqual(await store.collectGarbage(), 0, "the number of leftovers")
            },
        ]
    }

    // MARK: Many at once

    var concurrencyChecks: [ConformanceCheck] {
        [
            check("eight installations of one template at once read its origin once") { store, tree in
                let id = TemplateID.random()
                let templates = await Self.eight { _ in try await store.installTemplate(id, from: tree) }
                try requireEqual(tree.timesOpened, 1, "the number of times the origin was opened")
                try requireEqual(Set(templates.compactMap { try? $0.get() }).count, 1, "the number of results")
                try require(templates.allSatisfy { (try? $0.get()) != nil }, "an installation failed: \(templates)")
                try requireEqual(await store.contents().templates.count, 1, "the number of templates")
            },
            check("of eight creations of one volume at once one succeeds") { store, tree in
                let template = try await store.installTemplate(.random(), from: tree).id
                let id = VolumeID.random()
                let results = await Self.eight { _ in try await store.createVolume(id, from: template) }
                try requireEqual(results.count { (try? $0.get()) != nil }, 1, "the number of creations that succeeded")
                for case .failure(let error) in results {
                    try requireEqual((error as? LXCError)?.code, .alreadyExists, "the code of \(error)")
                }
                try requireEqual(await store.contents().volumes.map(\.id), [id], "the volumes")
            },
            check("eight volumes of one template can be created at once") { store, tree in
                let template = try await store.installTemplate(.random(), from: tree).id
                let results = await Self.eight { _ in try await store.createVolume(.random(), from: template) }
                let volumes = try results.map { try $0.get() }.sorted { $0.id < $1.id }
                try requireEqual(await store.contents().volumes, volumes, "the volumes")
            },
            checkVolume("of eight holders at once one gets the lease") { store, volume in
                let results = await Self.eight { try await store.acquireLease(on: volume.id, for: "host-\($0)") }
                let leases = results.compactMap { try? $0.get() }
                try requireEqual(leases.count, 1, "the number of leases")
                for case .failure(let error) in results {
                    try requireEqual((error as? LXCError)?.code, .inUse, "the code of \(error)")
                }
            },
        ]
    }

    static func eight<Value: Sendable>(
        _ body: @escaping @Sendable (Int) async throws -> Value
    ) async -> [Result<Value, any Error>] {
        await withTaskGroup(of: Result<Value, any Error>.self) { group in
            for number in 0..<8 {
                group.addTask {
                    do { return .success(try await body(number)) } catch { return .failure(error) }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
    }
}
