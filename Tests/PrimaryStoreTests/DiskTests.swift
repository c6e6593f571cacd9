// SPDX-License-Identifier: Apache-2.0

import FileTree
import Foundation
import LXCCore
import LXCTesting
import PrimaryStore
import StoreFiles
import TestSupport
import Testing

/// Disk images and the disks over them.
@Suite(.limited) struct DiskTests {
    private func image(_ fixture: Fixture, _ image: QcowImage = QcowImage(), sha256: String? = nil) throws -> DiskImage
    {
        try fixture.directory.write(image.bytes, to: "elsewhere/image")
        return DiskImage(path: fixture.directory["elsewhere/image"], sha256: sha256)
    }

    /// What makes a disk as qemu-img does.
    private func make(_ overlay: DiskOverlay) throws {
        let image = QcowImage(over: overlay.base, virtualSize: overlay.virtualSize.bytes)
        try Data(image.bytes).write(to: URL(filePath: overlay.path))
    }

    /// A store with a disk, and what that is made of.
    private func made(_ fixture: Fixture) async throws -> (image: TemplateID, disk: VolumeID) {
        let (template, disk) = (TemplateID.random(), VolumeID.random())
        _ = try await fixture.store.installImage(template, from: image(fixture), progress: nil)
        _ = try await fixture.store.createDisk(disk, over: template, size: nil) { try make($0) }
        return (template, disk)
    }

    /// Nothing stays of what failed.
    private func expectNothing(in fixture: Fixture) {
        #expect(fixture.directory.list() == [".lxc", "elsewhere"])
        #expect(fixture.control == [])
    }

    @Test func anImageIsAFileThatIsCopiedOnce() async throws {
        let fixture = try await Fixture()
        let id = TemplateID.random()
        let stored = try await fixture.store.installImage(id, from: image(fixture), progress: nil)
        #expect(stored.virtualSize == ByteCount(1 << 20))
        #expect(try fixture.directory.read("\(id)") == QcowImage().bytes)
        #expect(fixture.mode("\(id)") == 0o644)
        // What is there is not read again.
        let nothing = DiskImage(path: "/nonexistent")
        #expect(try await fixture.store.installImage(id, from: nothing, progress: nil) == stored)
        #expect(try await fixture.store.contents() == StoreContents(images: [stored]))
        #expect(try await fixture.store.verifyTemplate(id, progress: nil).isEmpty)
        #expect(fixture.control == ["objects/\(id).json"])
        try fixture.directory.write(QcowImage().bytes + [1], to: "\(id)")
        await expect(.corrupt) { try await fixture.store.verifyTemplate(id, progress: nil) }
        try await fixture.store.deleteTemplate(id)
        expectNothing(in: fixture)
    }

    @Test func whatIsNoGoodIsNotKept() async throws {
        let fixture = try await Fixture()
        let other = String(repeating: "0", count: 64)
        var external = QcowImage()
        external.features = 1 << 2
        let cases: [(DiskImage, LXCError.Code)] = [
            (try image(fixture, sha256: other), .corrupt), (DiskImage(path: "/nonexistent"), .notFound),
        ]
        for (image, code) in cases {
            #expect(
                await codeThrown { try await fixture.store.installImage(.random(), from: image, progress: nil) } == code
            )
            expectNothing(in: fixture)
        }
        for image in [QcowImage(over: "/etc/shadow"), external] {
            let image = try self.image(fixture, image)
            await expect(.unsafe) { try await fixture.store.installImage(.random(), from: image, progress: nil) }
            expectNothing(in: fixture)
        }
        try fixture.directory.write("no image", to: "elsewhere/text")
        let text = DiskImage(path: fixture.directory["elsewhere/text"])
        await expect(.corrupt) { try await fixture.store.installImage(.random(), from: text, progress: nil) }
        expectNothing(in: fixture)
    }

    @Test func aDiskDiffersFromItsImageAndKeepsIt() async throws {
        let fixture = try await Fixture()
        let (template, disk) = try await made(fixture)
        let path = try await fixture.store.hostPath(of: disk)
        #expect(path == fixture.directory["\(disk)"])
        #expect(try QcowHeader.read(LocalFile(path))?.backingFile == fixture.directory["\(template)"])
        let contents = try await fixture.store.contents()
        #expect(contents.disks.map(\.id) == [disk] && contents.disks.map(\.image) == [template])
        #expect(contents.templates.isEmpty && contents.volumes.isEmpty)
        #expect(try await fixture.store.collectGarbage() == 0)
        #expect(try await fixture.store.contents() == contents)

        await expect(.inUse) { try await fixture.store.deleteTemplate(template) }
        let lease = try await fixture.store.acquireLease(on: disk, for: "host-a", lasting: nil)
        await expect(.inUse) { try await fixture.store.deleteVolume(disk) }
        await expect(.inUse) { try await fixture.store.acquireLease(on: disk, for: "host-b", lasting: nil) }
        #expect(try await fixture.store.collectGarbage() == 0)
        try await fixture.store.releaseLease(lease)
        try await fixture.store.deleteVolume(disk)
        try await fixture.store.deleteTemplate(template)
        expectNothing(in: fixture)
    }

    /// The account libvirt runs QEMU as comes to a disk and its image, and to the pool no longer than that.
    @Test(.host(.root, .qemu), .enabled(if: getpwnam("libvirt-qemu") != nil))
    func qemusAccountPassesWhileThereIsADisk() async throws {
        let fixture = try await Fixture()
        let comes = { (account: String, id: String) in
            let test = "exec setpriv --reuid=\(account) --regid=65534 --clear-groups test -r"
            return (try? TreeShell.run("\(test) '\(fixture.directory[id])'")) != nil
        }
        let (image, disk) = try await made(fixture)
        _ = try await fixture.store.hostPath(of: disk)
        #expect(comes("libvirt-qemu", "\(disk)") && comes("libvirt-qemu", "\(image)"))
        #expect(!comes("65534", "\(disk)"))
        try await fixture.store.deleteVolume(disk)
        #expect(!comes("libvirt-qemu", "\(image)"))
        #expect(fixture.mode(".") == 0o700)
    }

    @Test func aDiskMayBeLargerThanItsImageAndNotSmaller() async throws {
        let fixture = try await Fixture()
        let (template, _) = try await made(fixture)
        let larger = try await fixture.store.createDisk(.random(), over: template, size: .mebibytes(8)) { try make($0) }
        #expect(larger.virtualSize == .mebibytes(8))
        await expect(.invalidArgument) {
            try await fixture.store.createDisk(.random(), over: template, size: ByteCount(512)) { try make($0) }
        }
    }

    @Test func whatWasNotMadeAsAskedIsNotKept() async throws {
        let fixture = try await Fixture()
        let (template, disk) = try await made(fixture)
        let before = (fixture.directory.list(), fixture.control)
        var external = QcowImage()
        external.features = 1 << 2
        for (bytes, code) in [
            (QcowImage().bytes, LXCError.Code.corrupt), (QcowImage(over: "/etc/shadow").bytes, .corrupt),
            (external.bytes, .unsafe), (Array("text".utf8), .corrupt),
        ] {
            let thrown = await codeThrown {
                try await fixture.store.createDisk(.random(), over: template, size: nil) { overlay in
                    try Data(bytes).write(to: URL(filePath: overlay.path))
                }
            }
            #expect(thrown == code)
        }
        await expect(.hypervisor) {
            try await fixture.store.createDisk(.random(), over: template, size: nil) { _ in
                throw LXCError(.hypervisor, "no")
            }
        }
        await expect(.alreadyExists) { try await fixture.store.createDisk(disk, over: template, size: nil) { _ in } }
        await expect(.notFound) { try await fixture.store.createDisk(.random(), over: .random(), size: nil) { _ in } }
        #expect((fixture.directory.list(), fixture.control) == before)
    }

    /// A program that runs a machine and was taken over could have done so.
    @Test func aDiskThatRefersToAnotherFileIsNotStarted() async throws {
        let fixture = try await Fixture()
        let (template, disk) = try await made(fixture)
        var changed = QcowImage(over: fixture.directory["\(template)"])
        changed.features = 1 << 2
        try fixture.directory.write(changed.bytes, to: "\(disk)")
        await expect(.unsafe) { try await fixture.store.hostPath(of: disk) }
    }

    @Test func namesAreOfOneKind() async throws {
        let fixture = try await Fixture()
        let (image, disk) = try await made(fixture)
        let template = try await fixture.template()
        let store = fixture.store
        await expect(.alreadyExists) { try await store.installTemplate(image, from: Fixture.tree) }
        await expect(.alreadyExists) {
            try await store.installImage(template, from: DiskImage(path: "/x"), progress: nil)
        }
        await expect(.alreadyExists) { try await store.createVolume(disk, from: template) }
        await expect(.alreadyExists) { try await store.createVolume(.random(), from: image) }
        await expect(.invalidArgument) { try await store.deleteVolume(VolumeID(image.uuid)) }
        await expect(.notFound) { try await store.acquireLease(on: VolumeID(image.uuid), for: "a", lasting: nil) }
        await expect(.alreadyExists) { try await store.deleteTemplate(TemplateID(disk.uuid)) }
    }

    /// CloudStack's own images and disks have such names too.
    @Test func filesOfOthersAreLeftAlone() async throws {
        let fixture = try await Fixture()
        let id = VolumeID.random()
        try fixture.directory.write(QcowImage().bytes, to: "\(id)")
        let store = fixture.store
        #expect(try await store.contents() == StoreContents())
        #expect(try await store.collectGarbage() == 0)
        await expect(.alreadyExists) { try await store.deleteVolume(id) }
        await expect(.alreadyExists) { try await store.deleteTemplate(TemplateID(id.uuid)) }
        await expect(.notFound) { try await store.hostPath(of: id) }
        let again = DiskImage(path: fixture.directory["\(id)"])
        await expect(.alreadyExists) {
            try await store.installImage(TemplateID(id.uuid), from: again, progress: nil)
        }
        #expect(fixture.directory.list() == [".lxc", "\(id)"])
    }

    @Test func whatAKilledProgramLeftIsGarbage() async throws {
        let fixture = try await Fixture()
        let (image, disk) = try await made(fixture)
        let contents = try await fixture.store.contents()
        let (copying, making, deleting) = (TemplateID.random(), VolumeID.random(), VolumeID.random())
        try fixture.directory.write("half", to: ".lxc/staging/\(copying).0123456789abcdef")
        try fixture.directory.write("half", to: ".lxc/staging/\(making).0123456789abcdef/disk")
        try fixture.directory.write("half", to: ".lxc/trash/\(deleting).0123456789abcdef")
        try fixture.directory.write("{}", to: ".lxc/objects/\(making).json")
        #expect(try await fixture.store.contents() == contents)
        #expect(try await fixture.store.collectGarbage() == 4)
        #expect(fixture.control == ["objects/\(image).json", "objects/\(disk).json"].sorted())
        #expect(try await fixture.store.contents() == contents)
    }
}
