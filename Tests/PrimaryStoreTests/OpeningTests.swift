// SPDX-License-Identifier: Apache-2.0

import FileTree
import Foundation
import Glibc
import LXCCore
import LinuxSystem
import PrimaryStore
import TestSupport
import Testing

/// Which directory is opened, and that nothing is begun by looking.
@Suite(.limited)
struct OpeningTests {
    @Test func aDirectoryWithoutAPoolIsLeftAsItIs() async throws {
        let directory = try ScratchDirectory()
        try directory.write("x", to: "\(VolumeID.random())/etc/hostname")
        let (before, mode) = (directory.list(), try directory.mode())
        for id in [nil, PoolID.random()] {
            let error = await expect(.notFound) {
                try await SharedMountPointStore(path: directory.path, id: id)
            }
            #expect(error?.message.contains("pool create --primary \(directory.path)") == true)
        }
        #expect(directory.list() == before)
        #expect(try directory.mode() == mode)
    }

    /// An unmounted mount point is no second pool, and the mount of another is not this one.
    @Test(.host(.root)) func anotherPoolInItsPlaceIsRefused() async throws {
        let directory = try ScratchDirectory()
        let id = try await SharedMountPointStore.create(at: directory.path).id
        try TreeShell.run("mount -t tmpfs none '\(directory.path)'")
        defer { umount2(directory.path, CInt(MNT_DETACH)) }
        await expect(.notFound) { try await SharedMountPointStore(path: directory.path, id: id) }
        #expect(directory.list().isEmpty)
        let other = try await SharedMountPointStore.create(at: directory.path)
        #expect(other.id != id)
        await expect(.invalidArgument) { try await SharedMountPointStore(path: directory.path, id: id) }
    }

    /// The kernel goes to the directory above the one a link leads to.
    @Test func pathsLeadWhereTheKernelLeads() async throws {
        let directory = try ScratchDirectory()
        try directory.makeDirectory("pool/inside")
        try directory.makeDirectory("elsewhere")
        #expect(symlink(directory["pool/inside"], directory["elsewhere/link"]) == 0)
        let pool = try await SharedMountPointStore.create(at: directory["pool"])
        for path in ["elsewhere/link/..", "pool/inside/..", "pool/./", "elsewhere/../pool//"] {
            let store = try await SharedMountPointStore(path: directory[path])
            #expect(store.id == pool.id, "\(path)")
            #expect(store.path == directory["pool"], "\(path)")
        }
        await expect(.notFound) { try await SharedMountPointStore(path: directory["no/../pool"]) }
        #expect(directory.list("elsewhere") == ["link"])
        #expect(directory.list() == ["elsewhere", "pool"])
    }

    @Test func linksTheOperatorNamedKeepTheirNames() async throws {
        let directory = try ScratchDirectory()
        try directory.makeDirectory("real")
        #expect(symlink("real", directory["link"]) == 0)
        let store = try await SharedMountPointStore.create(at: directory["link"])
        #expect(store.path == directory["link"])
        #expect(try await SharedMountPointStore(path: directory["real"]).id == store.id)
    }

    @Test func emptyIsWhereNobodyKeepsAnything() async throws {
        let directory = try ScratchDirectory()
        try directory.makeDirectory("lost+found")
        #expect(try await SharedMountPointStore.isEmpty(path: directory.path))
        _ = try await SharedMountPointStore.create(at: directory.path)
        #expect(try await !SharedMountPointStore.isEmpty(path: directory.path))
        let other = try ScratchDirectory()
        try other.write("x", to: "note")
        #expect(try await !SharedMountPointStore.isEmpty(path: other.path))
    }

    /// A pool of an earlier version knows what depends on what from its records alone.
    @Test func aPoolOfAnEarlierVersionKeepsWhatIsUsed() async throws {
        let fixture = try await Fixture()
        let template = try await fixture.template()
        let volume = try await fixture.store.createVolume(.random(), from: template).id
        try FileManager.default.removeItem(atPath: fixture.directory[".lxc/claims"])
        let store = try await SharedMountPointStore(path: fixture.directory.path)
        await expect(.inUse) { try await store.deleteTemplate(template) }
        #expect(fixture.directory.list(".lxc/claims/\(template)") == [volume.description])
        try await store.deleteVolume(volume)
        try await store.deleteTemplate(template)
        #expect(fixture.claims.isEmpty)
    }

    /// What would be repaired is not, and what is there can be read.
    @Test(.host(.root)) func aPoolThatCannotBeWrittenIsRead() async throws {
        let files = try LoopFileSystem(.ext4, megabytes: 16)
        let first = try await SharedMountPointStore.create(at: files.path)
        let template = try await first.installTemplate(.random(), from: Fixture.tree).id
        let volume = try await first.createVolume(.random(), from: template).id
        try files.shell("rm -r .lxc/claims .lxc/reserve; chmod 755 .")
        try TreeShell.run("mount -o remount,ro '\(files.path)'")
        let store = try await SharedMountPointStore(path: files.path, id: first.id)
        #expect(try await store.contents().volumes.map(\.id) == [volume])
        #expect(try await store.verifyTemplate(template, progress: nil).isEmpty)
        #expect(try await store.hostPath(of: volume) == files("\(volume)"))
        await expect(.permissionDenied) { try await store.deleteVolume(volume) }
        try TreeShell.run("mount -o remount,rw '\(files.path)'")
        try await SharedMountPointStore(path: files.path).deleteVolume(volume)
        #expect(try files.shell("stat -c %a .") == "700")
    }

    @Test func claimsOfWhatIsNotThereHoldNothing() async throws {
        let fixture = try await Fixture()
        let template = try await fixture.template()
        try fixture.directory.write("", to: ".lxc/claims/\(template)/\(VolumeID.random())")
        try fixture.directory.write("", to: ".lxc/claims/\(TemplateID.random())/\(VolumeID.random())")
        #expect(try await fixture.store.collectGarbage() == 0)
        #expect(fixture.claims.flatMap { fixture.directory.list(".lxc/claims/\($0)") }.isEmpty)
        try fixture.directory.write("", to: ".lxc/claims/\(template)/\(VolumeID.random())")
        try await fixture.store.deleteTemplate(template)
        #expect(fixture.directory.list() == [".lxc"])
    }
}

extension ScratchDirectory {
    /// The mode of the directory, or of something below.
    func mode(_ name: String = ".") throws -> mode_t {
        var status = stat()
        guard lstat(self[name], &status) == 0 else { throw LXCError.lastSystemCall("lstat", "look at \(name)") }
        return status.st_mode & 0o7777
    }
}
