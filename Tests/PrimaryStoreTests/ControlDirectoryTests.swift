// SPDX-License-Identifier: Apache-2.0

import FileTree
import Foundation
import Glibc
import LXCCore
import LXCTesting
import PrimaryStore
import TestSupport
import Testing

/// What others can do to the directory in which the store keeps what it knows.
@Suite(.limited)
struct ControlDirectoryTests {
    @Test(arguments: [".lxc", ".lxc/objects", ".lxc/staging"])
    func aLinkIsUnsafe(link: String) async throws {
        let directory = try ScratchDirectory()
        let outside = try ScratchDirectory()
        if link != ".lxc" {
            try directory.makeDirectory(".lxc")
            chmod(directory[".lxc"], 0o700)
        }
        #expect(symlink(outside.path, directory[link]) == 0)
        await expect(.unsafe) { try await SharedMountPointStore.create(at: directory.path) }
        await expect(.unsafe) { try await SharedMountPointStore(path: directory.path) }
        #expect(outside.list().isEmpty)
    }

    @Test(arguments: [".lxc", ".lxc/staging", ".lxc/leases"])
    func aDirectoryOthersComeToIsUnsafe(name: String) async throws {
        let fixture = try await Fixture()
        chmod(fixture.directory[name], 0o711)
        let error = await expect(.unsafe) {
            try await SharedMountPointStore(path: fixture.directory.path)
        }
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
        await expect(.notFound) { try await fixture.store.hostPath(of: template) }
        await expect(.notFound) { try await fixture.store.acquireLease(on: template, for: "host-a") }
    }
}
