// SPDX-License-Identifier: Apache-2.0

import FileTree
import Foundation
import Glibc
import LXCCore
import LXCTesting
import PrimaryStore
import TestSupport
import Testing

/// What is on disk: the specification's directories, and directories somebody else made.
@Suite(.limited)
struct LayoutTests {
    // MARK: Verification

    @Test func aTemplateThatChangedIsFoundOut() async throws {
        let fixture = try await Fixture()
        let (id, store) = (try await fixture.template(), fixture.store)
        #expect(try await store.verifyTemplate(id, progress: nil).isEmpty)
        try fixture.directory.write("other", to: "\(id)/etc/hostname")
        try fixture.directory.write("more", to: "\(id)/etc/more")
        let differences = try await store.verifyTemplate(id, progress: nil)
        let paths = differences.filter { $0.kind != .changed || $0.path != "etc" }.map(\.description)
        #expect(paths == ["changed etc/hostname", "added etc/more"])
        #expect(try await store.collectGarbage() == 0)
        #expect(fixture.directory.exists(".lxc/objects/\(id).manifest"))

        try fixture.directory.write("lxc-tree-digest 1\n", to: ".lxc/objects/\(id).manifest")
        await expect(.corrupt) { try await store.verifyTemplate(id, progress: nil) }
        #expect(unlink(fixture.directory[".lxc/objects/\(id).manifest"]) == 0)
        await expect(.corrupt) { try await store.verifyTemplate(id, progress: nil) }
        #expect(unlink(fixture.directory[".lxc/objects/\(id).json"]) == 0)
        await expect(.unsupported) { try await store.verifyTemplate(id, progress: nil) }
        await expect(.notFound) { try await store.verifyTemplate(.random(), progress: nil) }
    }

    @Test func aManifestGoesWithItsTemplate() async throws {
        let fixture = try await Fixture()
        let id = try await fixture.template()
        try await fixture.store.deleteTemplate(id)
        #expect(fixture.control.filter { $0.hasPrefix("objects") }.isEmpty)
        try fixture.directory.write("", to: ".lxc/objects/\(id).manifest")
        #expect(try await fixture.store.collectGarbage() == 1)
    }

    // MARK: Identity

    @Test func theIdentityStaysWithTheDirectory() async throws {
        let directory = try ScratchDirectory()
        let first = try await SharedMountPointStore.create(at: directory.path)
        let second = try await SharedMountPointStore(path: directory.path + "/")
        #expect(first.id == second.id)
        #expect(second.path == directory.path)
        let named = try await SharedMountPointStore(path: directory.path, id: first.id)
        #expect(named.id == first.id)
        #expect(directory.list() == [".lxc"])
        #expect(
            directory.list(".lxc") == [
                "claims", "leases", "locks", "objects", "pool.json", "reserve", "staging", "trash",
            ])
    }

    @Test func anIdentityThatIsGivenIsKept() async throws {
        let directory = try ScratchDirectory()
        let id = PoolID.random()
        #expect(try await SharedMountPointStore.create(at: directory.path, id: id).id == id)
        #expect(try await SharedMountPointStore(path: directory.path).id == id)
        #expect(try await SharedMountPointStore.create(at: directory.path, id: id).id == id)
        await expect(.alreadyExists) { try await SharedMountPointStore.create(at: directory.path) }
        let error = await expect(.invalidArgument) {
            try await SharedMountPointStore(path: directory.path, id: .random())
        }
        #expect(error?.message.contains(id.description) == true)
    }

    @Test func madeByManyAtOnceItGetsOneIdentity() async throws {
        let directory = try ScratchDirectory()
        let ids = await withTaskGroup(of: PoolID?.self) { group in
            for _ in 0..<8 { group.addTask { try? await SharedMountPointStore.create(at: directory.path).id } }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(ids.compactMap(\.self) == [try await SharedMountPointStore(path: directory.path).id])
        #expect(directory.list(".lxc").count { $0.hasPrefix("pool") } == 1)
    }

    @Test func aMissingDirectoryIsNotMade() async throws {
        let directory = try ScratchDirectory()
        try directory.write("", to: "file")
        for name in ["missing", "file"] {
            let error = await expect(.notFound) {
                try await SharedMountPointStore.create(at: directory[name])
            }
            #expect(error?.message.contains(directory[name]) == true)
        }
        #expect(directory.list() == ["file"])
    }

    // MARK: Layout

    @Test func objectsAreDirectoriesNamedByTheirUUID() async throws {
        let fixture = try await Fixture()
        let template = try await fixture.template()
        let volume = try await fixture.store.createVolume(.random(), from: template)
        #expect(fixture.directory.list() == [".lxc", template.description, volume.id.description].sorted())
        #expect(fixture.mode(".lxc") == 0o700)
        #expect(fixture.mode(template.description) == 0o755)
        #expect(fixture.mode(volume.id.description) == 0o755)
        let records = ["\(template).json", "\(template).manifest", "\(volume.id).json"]
        #expect(fixture.control == records.sorted().map { "objects/\($0)" })
        #expect(try fixture.directory.read("\(volume.id)/etc/hostname") == Array("box\n".utf8))
        #expect(fixture.mode("\(volume.id)/tmp") == 0o1777)
        #expect(try await fixture.store.hostPath(of: volume.id) == fixture.directory[volume.id.description])
    }

    @Test func recordsSayWhatADirectoryIs() async throws {
        let fixture = try await Fixture()
        let template = try await fixture.store.installTemplate(.random(), from: Fixture.tree)
        let json = try fixture.directory.read(".lxc/objects/\(template.id).json")
        let record = try #require(try JSONSerialization.jsonObject(with: Data(json)) as? [String: Any])
        #expect(record["kind"] as? String == "template")
        #expect(record["formatVersion"] as? Int == 1)
        #expect(record["digest"] as? String == template.digest?.description)
        // Another process reads the same.
        let other = try await SharedMountPointStore(path: fixture.directory.path)
        #expect(try await other.contents().templates == [template])
    }

    @Test func deletionsLeaveNothing() async throws {
        let fixture = try await Fixture()
        let template = try await fixture.template()
        let volume = try await fixture.store.createVolume(.random(), from: template).id
        try await fixture.store.deleteVolume(volume)
        #expect(fixture.control == ["objects/\(template).json", "objects/\(template).manifest"])
        try await fixture.store.deleteTemplate(template)
        #expect(fixture.control.isEmpty)
        #expect(fixture.claims.isEmpty)
        #expect(fixture.directory.list() == [".lxc"])
    }

    @Test func aRootThatAContainerTurnedOutwardsHasNoHostPath() async throws {
        let fixture = try await Fixture()
        let volume = try await fixture.volume()
        #expect(symlink("../../../../etc", fixture.directory["\(volume)/dev"]) == 0)
        await expect(.unsafe) { try await fixture.store.hostPath(of: volume) }
        // It can still be given back and thrown away.
        let lease = try await fixture.store.acquireLease(on: volume, for: "host-a")
        try await fixture.store.releaseLease(lease)
        try await fixture.store.deleteVolume(volume)
    }

    @Test func aVolumeIsACopy() async throws {
        let fixture = try await Fixture()
        let template = try await fixture.template()
        let volume = try await fixture.store.createVolume(.random(), from: template).id
        try fixture.directory.write("changed\n", to: "\(volume)/etc/hostname")
        #expect(try fixture.directory.read("\(template)/etc/hostname") == Array("box\n".utf8))
    }

    @Test(.host(.root)) func ownersAreMappedOnDisk() async throws {
        let fixture = try await Fixture()
        var tree = MemoryTree.smallRoot()
        tree.owner = (33, 34)
        try tree.addFile("etc/served", "x")
        let template = try await fixture.store.installTemplate(.random(), from: tree).id
        let map = try IDMap(parsing: ["0:300000:1000"])
        let volume = try await fixture.store.createVolume(.random(), from: template, idMap: map).id
        #expect(owner(fixture, "\(template)/etc/served") == [33, 34])
        #expect(owner(fixture, "\(volume)/etc/served") == [300_033, 300_034])
        #expect(owner(fixture, "\(volume)") == [300_000, 300_000])
    }

    private func owner(_ fixture: Fixture, _ name: String) -> [UInt32] {
        let attributes = try? FileManager.default.attributesOfItem(atPath: fixture.directory[name])
        return [FileAttributeKey.ownerAccountID, .groupOwnerAccountID].compactMap {
            (attributes?[$0] as? NSNumber)?.uint32Value
        }
    }

    // MARK: Directories of others

    @Test func directoriesWithoutARecordAreAdopted() async throws {
        let fixture = try await Fixture()
        let adopted = TemplateID.random()
        try fixture.directory.write("by hand\n", to: "\(adopted)/etc/hostname")
        #expect(try await fixture.store.contents().volumes.map(\.id.description) == [adopted.description])
        let unread = MemoryTree("must not be read")
        #expect(try await fixture.store.installTemplate(adopted, from: unread) == StoredTemplate(id: adopted))
        #expect(unread.timesOpened == 0)
        let volume = try await fixture.store.createVolume(.random(), from: adopted)
        #expect(volume.template == adopted)
        #expect(try fixture.directory.read("\(volume.id)/etc/hostname") == Array("by hand\n".utf8))
        try await fixture.store.deleteVolume(volume.id)
        try await fixture.store.deleteTemplate(adopted)
        #expect(fixture.directory.list() == [".lxc"])
    }

    @Test func aDirectoryWithoutARecordIsNotTakenForAKnownTemplate() async throws {
        let fixture = try await Fixture()
        let digest = try await TreeCopy.examine(Fixture.tree).digest
        let (foreign, own) = (TemplateID.random(), TemplateID.random())
        try fixture.directory.write("evil", to: "\(foreign)/etc/evil")
        let error = await expect(.alreadyExists) {
            try await fixture.store.installTemplate(
                foreign, from: Fixture.tree, expecting: digest, limits: TreeLimits(), progress: nil)
        }
        #expect(error?.message.contains(fixture.directory[foreign.description]) == true)
        #expect(fixture.directory.list(foreign.description) == ["etc"])
        // One that is what was meant is taken, whoever put it there.
        _ = try await TreeCopy.run(from: Fixture.tree, to: LocalTree(fixture.directory[own.description]))
        let unread = Fixture.tree
        let taken = try await fixture.store.installTemplate(
            own, from: unread, expecting: digest, limits: TreeLimits(), progress: nil)
        #expect(taken == StoredTemplate(id: own))
        #expect(unread.timesOpened == 0)
    }

    @Test func anAdoptedVolumeIsLeasedAndDeletedAsAnyOther() async throws {
        let fixture = try await Fixture()
        let id = VolumeID.random()
        try fixture.directory.write("x", to: "\(id)/etc/hostname")
        let lease = try await fixture.store.acquireLease(on: id, for: "host-a")
        await #expect(throws: LXCError.self) { try await fixture.store.deleteVolume(id) }
        try await fixture.store.releaseLease(lease)
        try await fixture.store.deleteVolume(id)
        #expect(fixture.directory.list() == [".lxc"])
        #expect(fixture.control.isEmpty)
    }

    @Test func aDirectoryWithOneTarIsClonedFromTheTar() async throws {
        let fixture = try await Fixture()
        let template = TemplateID.random()
        try fixture.directory.write("packed\n", to: "content/etc/hostname")
        try fixture.directory.makeDirectory(template.description)
        let tar = fixture.directory["\(template)/402b0be5-b840-3fef-b292-d330f3bf809a.tar"]
        try Process.run(URL(filePath: "/bin/tar"), arguments: ["-C", fixture.directory["content"], "-cf", tar, "."])
            .waitUntilExit()
        let volume = try await fixture.store.createVolume(.random(), from: template).id
        #expect(try fixture.directory.read("\(volume)/etc/hostname") == Array("packed\n".utf8))
        #expect(!fixture.directory.exists("\(volume)/402b0be5-b840-3fef-b292-d330f3bf809a.tar"))
    }

    @Test func aDirectoryWithATarAmongOthersIsARoot() async throws {
        let fixture = try await Fixture()
        let template = TemplateID.random()
        try fixture.directory.write("no archive", to: "\(template)/backup.tar")
        try fixture.directory.write("x", to: "\(template)/etc/hostname")
        let volume = try await fixture.store.createVolume(.random(), from: template).id
        #expect(try fixture.directory.read("\(volume)/backup.tar") == Array("no archive".utf8))
    }

    @Test func otherNamesAreNoneOfOurs() async throws {
        let fixture = try await Fixture()
        for name in ["lost+found/x", "KVMHA/hb-10.0.0.1", "402B0BE5-B840-3FEF-B292-D330F3BF809A/x", "notes"] {
            try fixture.directory.write("x", to: name)
        }
        try fixture.directory.write("x", to: VolumeID.random().description)
        #expect(try await fixture.store.contents() == StoreContents())
        #expect(try await fixture.store.collectGarbage() == 0)
        #expect(fixture.directory.list().count == 6)
    }

    // MARK: Damage

    @Test(arguments: ["", "{", "[]", "{\"kind\":\"elephant\"}", "\u{0}"])
    func aBrokenRecordIsCorruptAndNamed(_ text: String) async throws {
        let fixture = try await Fixture()
        let template = try await fixture.template()
        try fixture.directory.write(text, to: ".lxc/objects/\(template).json")
        let error = await expect(.corrupt) {
            _ = try await fixture.store.createVolume(.random(), from: template)
        }
        #expect(error?.message.contains(".lxc/objects/\(template).json") == true)

        // It hides nothing else, and goes when that is asked for.
        let other = try await fixture.volume()
        let contents = try await fixture.store.contents()
        #expect(contents.broken.map(\.id) == [VolumeID(template.uuid)])
        #expect(contents.broken.first?.reason.contains(".lxc/objects/\(template).json") == true)
        #expect(contents.volumes.map(\.id) == [other] && contents.templates.count == 1)
        #expect(try await fixture.store.collectGarbage() == 0)
        #expect(fixture.directory.exists(template.description))
        try await fixture.store.deleteTemplate(template)
        #expect(!fixture.directory.exists(template.description))
        #expect(try await fixture.store.contents().broken.isEmpty)
    }

    /// What was made of it is known without its record, and so is who uses it.
    @Test func whatCannotBeToldIsKeptWhileItIsUsed() async throws {
        let fixture = try await Fixture()
        let template = try await fixture.template()
        let volume = try await fixture.store.createVolume(.random(), from: template).id
        for id in [template.uuid, volume.uuid] {
            try fixture.directory.write("{\"kind\":\"elephant\"}", to: ".lxc/objects/\(VolumeID(id)).json")
        }
        #expect(try await fixture.store.contents().broken.count == 2)
        await expect(.inUse) { try await fixture.store.deleteTemplate(template) }
        await expect(.inUse) { try await fixture.store.deleteVolume(VolumeID(template.uuid)) }
        try fixture.directory.write(
            String(decoding: try leaseText(volume), as: UTF8.self), to: ".lxc/leases/\(volume).json")
        await expect(.inUse) { try await fixture.store.deleteVolume(volume) }
        #expect(try await fixture.store.breakLease(on: volume))
        try await fixture.store.deleteVolume(volume)
        try await fixture.store.deleteTemplate(template)
        #expect(fixture.directory.list() == [".lxc"])
        #expect(fixture.control.isEmpty)
    }

    private func leaseText(_ volume: VolumeID) throws -> Data {
        let encoder = JSONEncoder()
        encoder.dateEncodingStrategy = .iso8601
        return try encoder.encode(VolumeLease(volume: volume, holder: "host-a", acquired: Date()))
    }

    @Test func aBrokenLeaseIsCorruptAndNamed() async throws {
        let fixture = try await Fixture()
        let volume = try await fixture.volume()
        try fixture.directory.write("{", to: ".lxc/leases/\(volume).json")
        let error = await expect(.corrupt) {
            try await fixture.store.acquireLease(on: volume, for: "host-a")
        }
        #expect(error?.message.contains(".lxc/leases/\(volume).json") == true)
        let other = try await fixture.store.acquireLease(on: fixture.volume(), for: "host-a")
        for text in ["{", String(repeating: " ", count: 2 << 20)] {
            try fixture.directory.write(text, to: ".lxc/leases/\(volume).json")
            #expect(try await fixture.store.leases() == [other], "one that cannot be read hides no other")
        }
        try await fixture.store.releaseLease(other)
        // It names nobody who could give the volume back.
        try await fixture.store.deleteVolume(volume)
        #expect(try await fixture.store.contents().volumes.map(\.id) == [other.volume])
    }

    @Test func aBrokenLeaseCanBeBroken() async throws {
        let fixture = try await Fixture()
        let volume = try await fixture.volume()
        try fixture.directory.write("{", to: ".lxc/leases/\(volume).json")
        #expect(try await fixture.store.breakLease(on: volume))
        _ = try await fixture.store.acquireLease(on: volume, for: "host-a")
    }

    @Test func aRecordOfALaterVersionIsReadAsFarAsItGoes() async throws {
        let fixture = try await Fixture()
        let template = try await fixture.store.installTemplate(.random(), from: Fixture.tree)
        let name = ".lxc/objects/\(template.id).json"
        let text = String(decoding: try fixture.directory.read(name), as: UTF8.self)
            .replacing("\"formatVersion\" : 1", with: "\"formatVersion\" : 2, \"news\" : [1]")
        #expect(text.contains("news"))
        try fixture.directory.write(text, to: name)
        #expect(try await fixture.store.contents().templates == [template])
    }
}
