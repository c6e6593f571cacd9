// SPDX-License-Identifier: Apache-2.0

import FileTree
import Foundation
import Glibc
import LXCCore
import LXCTesting
import LinuxSystem
import PrimaryStore
import TestSupport
import Testing

/// What a killed process leaves behind, put there by hand.
@Suite(.limited)
struct CrashTests {
    /// Leftovers of every kind, of a store that also has a template, a volume and a lease.
    private func leaveEverything(in fixture: Fixture) throws -> Int {
        let directory = fixture.directory
        let (unpacking, cloning, deleting) = (TemplateID.random(), VolumeID.random(), VolumeID.random())
        try directory.write("half", to: ".lxc/staging/\(unpacking).0123456789abcdef/etc/hostname")
        try directory.write("half", to: ".lxc/staging/.\(cloning).0123456789abcdef.partial-0123456789abcdef/bin/sh")
        try directory.write("half", to: ".lxc/trash/\(deleting).fedcba9876543210/etc/hostname")
        // Published never: the record was written first. Deleted: the record goes last.
        try directory.write("{}", to: ".lxc/objects/\(unpacking).json")
        try directory.write("{}", to: ".lxc/objects/\(deleting).json")
        try directory.write("{", to: ".lxc/objects/\(cloning).json.0123456789abcdef")
        try directory.write("{}", to: ".lxc/leases/\(deleting).json")
        try directory.write("{", to: ".lxc/leases/\(deleting).json.0123456789abcdef")
        try directory.write("", to: ".lxc/locks/\(unpacking)")
        return 8
    }

    @Test func leftoversAreInvisibleAndCollected() async throws {
        let fixture = try await Fixture()
        let volume = try await fixture.volume()
        _ = try await fixture.store.acquireLease(on: volume, for: "host-a")
        let (contents, control) = (try await fixture.store.contents(), fixture.control)
        let names = fixture.directory.list()

        let count = try leaveEverything(in: fixture)
        #expect(try await fixture.store.contents() == contents)
        #expect(try await fixture.store.collectGarbage() == count)
        #expect(fixture.control == control)
        #expect(fixture.directory.list() == names)
        #expect(try await fixture.store.contents() == contents)
        #expect(try await fixture.store.collectGarbage() == 0)
        #expect(fixture.control == control)
    }

    @Test func operationsOnTheSameNamesWorkOverLeftovers() async throws {
        let fixture = try await Fixture()
        let (template, volume) = (TemplateID.random(), VolumeID.random())
        try fixture.directory.write("half", to: ".lxc/staging/\(template).0123456789abcdef/etc/hostname")
        try fixture.directory.write("{", to: ".lxc/objects/\(volume).json")
        try fixture.directory.write("", to: ".lxc/locks/\(template)")
        try fixture.directory.write("", to: ".lxc/locks/\(volume)")
        try await fixture.store.deleteTemplate(template)
        _ = try await fixture.store.installTemplate(template, from: Fixture.tree)
        _ = try await fixture.store.createVolume(volume, from: template)
        #expect(try await fixture.store.contents().volumes.map(\.id) == [volume])
        #expect(try await fixture.store.collectGarbage() == 1)
    }

    @Test func whatALockProtectsIsLeftAlone() async throws {
        let fixture = try await Fixture()
        let (building, cloning) = (TemplateID.random(), VolumeID.random())
        let kept = [
            ".lxc/staging/\(building).0123456789abcdef/etc/hostname", ".lxc/objects/\(building).json",
            ".lxc/staging/.\(cloning).0123456789abcdef.partial-1/etc/hostname",
            ".lxc/trash/\(cloning).0123456789abcdef/etc/hostname", ".lxc/leases/\(cloning).json",
        ]
        for name in kept { try fixture.directory.write("{}", to: name) }
        let count = try leaveEverything(in: fixture)
        let removed = try await fixture.locking(building) {
            try await fixture.locking(cloning) {
                try await fixture.store.collectGarbage()
            }
        }
        #expect(removed == count)
        for name in kept { #expect(fixture.directory.exists(name), "\(name)") }
        #expect(try await fixture.store.collectGarbage() == kept.count)
        #expect(fixture.control.isEmpty)
    }

    @Test(.host(.root)) func whatCannotBeRemovedIsNamedAndKeepsNothingElse() async throws {
        let fixture = try await Fixture()
        let stuck = try VolumeID(parsing: "00000000-0000-4000-8000-000000000000")
        let leftovers = ["staging", "trash"].map { "\($0)/\(stuck).0123456789abcdef" }
        for leftover in leftovers { try fixture.directory.makeDirectory(".lxc/\(leftover)/mnt") }
        let mounts = leftovers.map { fixture.directory[".lxc/\($0)/mnt"] }
        for mount in mounts { try TreeShell.run("mount -t tmpfs none '\(mount)'") }
        defer { for mount in mounts { umount2(mount, CInt(MNT_DETACH)) } }
        let count = try leaveEverything(in: fixture)
        let error = await expect(.inUse) { try await fixture.store.collectGarbage() }
        #expect(error?.message.contains("removed \(count) leftovers") == true)
        for leftover in leftovers { #expect(error?.message.contains(leftover) == true) }
        #expect(fixture.control == leftovers)
    }

    @Test(.host(.root)) func aVolumeThatCannotBeRemovedStaysWhole() async throws {
        let fixture = try await Fixture()
        let volume = try await fixture.volume()
        let before = (fixture.control, try await fixture.store.contents())
        try fixture.directory.makeDirectory("\(volume)/mnt")
        let mount = fixture.directory["\(volume)/mnt"]
        try TreeShell.run("mount -t tmpfs none '\(mount)'")
        defer { umount2(mount, CInt(MNT_DETACH)) }
        for _ in 1...2 {
            let error = await expect(.inUse) { try await fixture.store.deleteVolume(volume) }
            #expect(error?.message.contains("mnt") == true)
            #expect(try await fixture.store.collectGarbage() == 0)
            #expect(fixture.control == before.0)
            #expect(try await fixture.store.contents() == before.1)
        }
        umount2(mount, 0)
        try await fixture.store.deleteVolume(volume)
    }

    @Test func leftoversAreNotFollowedOutOfTheStore() async throws {
        let fixture = try await Fixture()
        let outside = try ScratchDirectory()
        try outside.write("precious", to: "file")
        let id = VolumeID.random()
        #expect(symlink(outside.path, fixture.directory[".lxc/trash/\(id).0123456789abcdef"]) == 0)
        try fixture.directory.makeDirectory(".lxc/staging/\(id).0123456789abcdef")
        #expect(symlink(outside.path, fixture.directory[".lxc/staging/\(id).0123456789abcdef/link"]) == 0)
        _ = try? await fixture.store.collectGarbage()
        #expect(try outside.read("file") == Array("precious".utf8))
        #expect(fixture.directory.list(".lxc/staging").isEmpty)
    }

    // MARK: Failures at the last step

    @Test func aNameTakenBehindTheStoresBackLeavesNothing() async throws {
        let fixture = try await Fixture()
        let template = try await fixture.template()
        let before = fixture.control
        let id = VolumeID.random()
        // A file is no object, but it has the name.
        try fixture.directory.write("somebody else's", to: id.description)
        await expect(.alreadyExists) {
            try await fixture.store.createVolume(id, from: template)
        }
        #expect(fixture.control == before)
        #expect(try fixture.directory.read(id.description) == Array("somebody else's".utf8))
    }

    @Test func failuresLeaveNothingOnDisk() async throws {
        let fixture = try await Fixture()
        var failing = Fixture.tree
        failing.beforeEntry = { if $0 == 5 { throw LXCError(.io, "the medium broke") } }
        await #expect(throws: LXCError.self) { try await fixture.store.installTemplate(.random(), from: failing) }
        let digest = try await TreeCopy.examine(MemoryTree("empty")).digest
        await #expect(throws: LXCError.self) {
            try await fixture.store.installTemplate(
                .random(), from: Fixture.tree, expecting: digest, limits: TreeLimits(), progress: nil)
        }
        #expect(fixture.control.isEmpty)
        #expect(fixture.directory.list() == [".lxc"])
    }

    @Test func aCancelledInstallationLeavesNothingOnDisk() async throws {
        let fixture = try await Fixture()
        let (reached, signal) = AsyncStream<Void>.makeStream()
        var endless = Fixture.tree
        for number in 0..<100_000 { try endless.addFile("tmp/\(number)") }
        endless.beforeEntry = { if $0 == 100 { signal.finish() } }
        let installation = Task { [endless] in try await fixture.store.installTemplate(.random(), from: endless) }
        for await _ in reached {}
        installation.cancel()
        await #expect(throws: CancellationError.self) { try await installation.value }
        #expect(fixture.control.isEmpty)
        #expect(fixture.directory.list() == [".lxc"])
    }

    // MARK: Locks between operations

    @Test func aTemplateIsNotDeletedWhileItIsCloned() async throws {
        let fixture = try await Fixture()
        let template = try await fixture.template()
        let deletion = try await fixture.locking(template, .shared) {
            // As a clone under way does. A second clone goes on beside it; the deletion waits.
            _ = try await fixture.store.createVolume(.random(), from: template)
            let deletion = Task { try await fixture.store.deleteTemplate(template) }
            try await Task.sleep(for: .milliseconds(200))
            #expect(fixture.directory.exists(template.description))
            return deletion
        }
        await expect(.inUse) { try await deletion.value }
    }

    @Test func aTemplateIsNotClonedWhileItIsDeleted() async throws {
        let fixture = try await Fixture()
        let template = try await fixture.template()
        let creation = try await fixture.locking(template) {
            let creation = Task { try await fixture.store.createVolume(.random(), from: template) }
            try await Task.sleep(for: .milliseconds(200))
            #expect(try await fixture.store.contents().volumes.isEmpty)
            try FileManager.default.removeItem(atPath: fixture.directory[template.description])
            return creation
        }
        await expect(.notFound) { try await creation.value }
        #expect(fixture.directory.list() == [".lxc"])
    }

    @Test func anInstallationInAnotherProcessIsWaitedFor() async throws {
        let fixture = try await Fixture()
        let id = TemplateID.random()
        let unread = Fixture.tree
        let installation = try await fixture.locking(id) {
            let installation = Task { try await fixture.store.installTemplate(id, from: unread) }
            try await Task.sleep(for: .milliseconds(100))
            try fixture.directory.write("theirs\n", to: "\(id)/etc/hostname")
            return installation
        }
        #expect(try await installation.value.id == id)
        #expect(unread.timesOpened == 0)
    }
}
