// SPDX-License-Identifier: Apache-2.0

import FileTree
import Foundation
import Glibc
import LXCCore
import LXCTesting
import NFSClient
import PrimaryStore
import TestSupport
import Testing

/// Who of the host's users comes to what is in a pool: templates and privileged volumes have programs that make whoever
/// runs them root.
@Suite(.tags(.host), .limited, .host(.root))
struct PassageTests {
    private static let tree = MemoryTree.smallRoot(user: 0, group: 0)

    private func map(_ host: UInt32) throws -> IDMap { try IDMap(host: host, count: 1_000) }

    /// Whether a user of the host, in one group of the same number, comes to a file of an object.
    private func comes(_ user: UInt32, to id: Identifier<some Any>, in directory: String) -> Bool {
        let test =
            "exec setpriv --reuid=\(user) --regid=\(user) --clear-groups test -r '\(directory)/\(id)/etc/hostname'"
        return (try? TreeShell.run(test)) != nil
    }

    @Test func nobodyButTheContainersRootPasses() async throws {
        let fixture = try await Fixture()
        let (store, path) = (fixture.store, fixture.directory.path)
        let template = try await store.installTemplate(.random(), from: Self.tree).id
        let privileged = try await store.createVolume(.random(), from: template).id
        #expect(try fixture.directory.mode() == 0o700)
        let (first, second) = (VolumeID.random(), VolumeID.random())
        for id in [first, second] { _ = try await store.createVolume(id, from: template, idMap: map(300_000)) }
        let other = try await store.createVolume(.random(), from: template, idMap: map(400_000)).id
        _ = try await store.hostPath(of: first)

        #expect(comes(300_000, to: first, in: path) && comes(400_000, to: other, in: path))
        for user in [1, 65_534, 300_001, 500_000] as [UInt32] {
            for id in [template.uuid, privileged.uuid, first.uuid, other.uuid].map(VolumeID.init) {
                #expect(!comes(user, to: id, in: path), "user \(user)")
            }
        }
        // Until nothing in the pool has that root any more.
        try await store.deleteVolume(first)
        #expect(comes(300_000, to: second, in: path))
        try await store.deleteVolume(second)
        #expect(!comes(300_000, to: other, in: path) && comes(400_000, to: other, in: path))
        try await store.deleteVolume(other)
        #expect(try fixture.directory.mode() == 0o700)
        #expect(try TreeShell.run("getfacl -pn --omit-header '\(path)' | grep -c user:") == "1")
        #expect(fixture.claims == [template.description])
        #expect(try await store.collectGarbage() == 0)
    }

    @Test func aFailedCreationLeavesNoPassage() async throws {
        let fixture = try await Fixture()
        var tree = Self.tree
        tree.owner = (2_000, 0)
        try tree.addFile("etc/foreign")
        let template = try await fixture.store.installTemplate(.random(), from: tree).id
        await #expect(throws: LXCError.self) {
            try await fixture.store.createVolume(.random(), from: template, idMap: map(300_000))
        }
        #expect(!comes(300_000, to: template, in: fixture.directory.path))
        #expect(try fixture.directory.mode() == 0o700)
        #expect(fixture.claims.flatMap { fixture.directory.list(".lxc/claims/\($0)") }.isEmpty)
    }

    /// As operators were told to make them before, and as an older version left them.
    @Test(arguments: [0o711, 0o755, 0o750] as [mode_t])
    func aPoolThatIsOpenIsClosedWhenItIsOpened(mode: mode_t) async throws {
        let fixture = try await Fixture()
        let path = fixture.directory.path
        let template = try await fixture.store.installTemplate(.random(), from: Self.tree).id
        let volume = try await fixture.store.createVolume(.random(), from: template, idMap: map(300_000)).id
        try FileManager.default.removeItem(atPath: fixture.directory[".lxc/claims"])
        try TreeShell.run("setfacl -b '\(path)'; chmod \(String(mode, radix: 8)) '\(path)'")
        if mode & 1 != 0 { #expect(comes(65_534, to: template, in: path)) }

        let store = try await SharedMountPointStore(path: path)
        #expect(!comes(65_534, to: template, in: path))
        #expect(comes(300_000, to: volume, in: path))
        _ = try await store.hostPath(of: volume)
        try await store.deleteVolume(volume)
        #expect(!comes(300_000, to: template, in: path))
        #expect(try fixture.directory.mode() == 0o700)
    }

    /// `chmod g-x` silently takes passage from everybody an access list names.
    @Test func passageThatWasTakenIsGivenAgainAtTheStart() async throws {
        let fixture = try await Fixture()
        let path = fixture.directory.path
        let template = try await fixture.store.installTemplate(.random(), from: Self.tree).id
        let volume = try await fixture.store.createVolume(.random(), from: template, idMap: map(300_000)).id
        for damage in ["chmod g-x", "setfacl -b", "chmod 700"] {
            try TreeShell.run("\(damage) '\(path)'")
            #expect(!comes(300_000, to: volume, in: path))
            _ = try await fixture.store.hostPath(of: volume)
            #expect(comes(300_000, to: volume, in: path))
            #expect(!comes(65_534, to: volume, in: path))
        }
    }

    /// The directories above are the operator's: they are asked for what the kernel says, not for a mode.
    @Test func directoriesAboveAreAskedForAsTheUser() async throws {
        let directory = try ScratchDirectory()
        try directory.makeDirectory("above/pool")
        let store = try await SharedMountPointStore.create(at: directory["above/pool"])
        let template = try await store.installTemplate(.random(), from: Self.tree).id
        let volume = try await store.createVolume(.random(), from: template, idMap: map(300_000)).id
        let privileged = try await store.createVolume(.random(), from: template).id
        chmod(directory["above"], 0o700)
        let error = await expect(.permissionDenied) { try await store.hostPath(of: volume) }
        #expect(error?.message.contains("setfacl -m u:300000:x \(directory["above"])") == true)
        _ = try await store.hostPath(of: privileged)
        try TreeShell.run("setfacl -m u:300000:x '\(directory["above"])'")
        #expect(try await store.hostPath(of: volume) == directory["above/pool/\(volume)"])
        // The mode of a directory says nothing where its list says something else.
        try TreeShell.run("chmod 755 '\(directory["above"])'; setfacl -n -m u:300000:-,m::x '\(directory["above"])'")
        await expect(.permissionDenied) { try await store.hostPath(of: volume) }
        // This process is who it was.
        #expect(geteuid() == 0 && access("/proc/1/environ", R_OK) == 0)
    }

    @Test func twoProgramsTakeAndGiveAtOnce() async throws {
        let fixture = try await Fixture()
        let template = try await fixture.store.installTemplate(.random(), from: Self.tree).id
        let path = fixture.directory.path
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    let store = try await SharedMountPointStore(path: path)
                    for _ in 0..<4 {
                        let id = VolumeID.random()
                        _ = try await store.createVolume(id, from: template, idMap: map(300_000))
                        #expect(comes(300_000, to: id, in: path))
                        try await store.deleteVolume(id)
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(!comes(300_000, to: template, in: path))
        #expect(fixture.claims == [template.description])
    }

    /// Over NFS there are no access lists: all pass while somebody must.
    @Test(.host(.nfsServer)) func poolsOnNFSAreClosedAsFarAsTheyCanBe() async throws {
        let fixture = try NFSStoreTests.Fixture()
        let export = fixture.scratch("export")
        let mode = { try fixture.scratch.shell("stat -c %a export") }
        try fixture.scratch.shell("chmod 777 export")
        let store = try await fixture.store()
        #expect(try mode() == "700")
        let template = try await store.installTemplate(.random(), from: Self.tree).id
        _ = try await store.createVolume(.random(), from: template)
        #expect(!comes(65_534, to: template, in: export))
        let ids = [VolumeID.random(), .random()]
        for (number, id) in ids.enumerated() {
            _ = try await store.createVolume(id, from: template, idMap: map(300_000 + 10_000 * UInt32(number)))
        }
        #expect(try mode() == "711")
        try await store.deleteVolume(ids[0])
        #expect(try mode() == "711")
        try await store.deleteVolume(ids[1])
        #expect(try mode() == "700")
        // As a client does it: the server would not see its own directory change behind its back.
        let client = try await NFSClient.connect(to: fixture.url())
        try await client.setAttributes(NFSNewAttributes(mode: 0o755), of: client.root)
        _ = try await fixture.store()
        #expect(try mode() == "700")
    }
}
