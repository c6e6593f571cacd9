import FileTree
import Foundation
import Glibc
import LXCCore
import LXCTesting
import PrimaryStore
import TestSupport
import Testing

/// What others can do to the directory in which the store keeps what it knows.
@Suite(.timeLimit(.minutes(15)))
struct ControlDirectoryTests {
    @Test(arguments: [".lxc", ".lxc/objects", ".lxc/staging"])
    func aLinkIsUnsafe(link: String) async throws {
        let directory = try TemporaryDirectory()
        let outside = try TemporaryDirectory()
        if link != ".lxc" {
            try directory.makeDirectory(".lxc")
            chmod(directory[".lxc"], 0o700)
        }
        #expect(symlink(outside.path, directory[link]) == 0)
        #expect(await codeThrown { try await SharedMountPointStore.create(at: directory.path) } == .unsafe)
        #expect(await codeThrown { try await SharedMountPointStore(path: directory.path) } == .unsafe)
        #expect(outside.list().isEmpty)
    }

    @Test(arguments: [".lxc", ".lxc/staging", ".lxc/leases"])
    func aDirectoryOthersComeToIsUnsafe(name: String) async throws {
        let fixture = try await Fixture()
        chmod(fixture.directory[name], 0o711)
        let error = await #expect(throws: LXCError.self) {
            try await SharedMountPointStore(path: fixture.directory.path)
        }
        #expect(error?.code == .unsafe)
        #expect(error?.message.contains(fixture.directory[name]) == true)
    }

    @Test func anIdentityHalfWrittenIsCollected() async throws {
        let fixture = try await Fixture()
        try fixture.directory.write("{", to: ".lxc/pool.json.0123456789abcdef")
        #expect(try await fixture.store.collectGarbage() == 1)
        #expect(!fixture.directory.exists(".lxc/pool.json.0123456789abcdef"))
        #expect(try await SharedMountPointStore(path: fixture.directory.path).id == fixture.store.id)
    }

    @Test func aTemplateIsNoVolumeToStartFrom() async throws {
        let fixture = try await Fixture()
        let template = VolumeID(try await fixture.template().uuid)
        #expect(await codeThrown { try await fixture.store.hostPath(of: template) } == .notFound)
        #expect(
            await codeThrown { try await fixture.store.acquireLease(on: template, for: "host-a") } == .notFound)
    }
}
