// SPDX-License-Identifier: Apache-2.0

import FileTree
import Foundation
import LXCCore
import StoreFiles
import TemplateStore
import TestSupport
import Testing

/// Disk images of system VMs on secondary storage.
@Suite(.limited) struct ImageTests {
    /// A storage and an image to register in it.
    private func fixture(_ image: QcowImage = QcowImage()) throws -> Fixture {
        let fixture = try Fixture()
        try fixture.directory.write(image.bytes, to: "disk")
        return fixture
    }

    private func register(_ fixture: Fixture, _ name: String = "disk") async throws -> Template {
        try await fixture.store.register(fixture.registration(fixture.directory[name]), progress: nil)
    }

    @Test func theLayoutIsCloudStacks() async throws {
        let fixture = try fixture()
        let template = try await register(fixture)
        #expect(template.format == .qcow2 && template.digest == nil)
        #expect(template.virtualSize == ByteCount(1 << 20) && template.size.bytes == UInt64(QcowImage().bytes.count))
        #expect(template.fileName.hasSuffix(".qcow2"))
        #expect(fixture.names == [template.fileName, "template.properties"].sorted())
        let text = try String(
            decoding: fixture.directory.read("secondary/template/tmpl/1/10/template.properties"), as: UTF8.self)
        for line in [
            "qcow2=true", "qcow2.filename=\(template.fileName)", "qcow2.virtualsize=1048576", "hvm=true",
            "qcow2.size=\(template.size.bytes)", "virtualsize=1048576", "filename=\(template.fileName)",
        ] {
            #expect(text.split(separator: "\n").contains(Substring(line)), "\(line) in \(text)")
        }
        #expect(!text.contains("tar"))
        #expect(try await fixture.store.template(fixture.key) == template)
        try await fixture.store.verify(fixture.key, progress: nil)
        #expect(try await fixture.store.image(of: fixture.key).sha256 != nil)
        await expect(.invalidArgument) { try await fixture.store.contents(of: fixture.key) }
    }

    @Test(arguments: ["bzip2", "gzip", "xz"]) func compressedImagesAreUnpacked(program: String) async throws {
        let fixture = try fixture()
        let path = fixture.directory["disk"]
        try Command.run("/bin/sh", "-c", "\(program) -c < '\(path)' > '\(path).packed'")
        let template = try await register(fixture, "disk.packed")
        #expect(template.format == .qcow2)
        let stored = try fixture.directory.read("secondary/template/tmpl/1/10/\(template.fileName)")
        #expect(stored == QcowImage().bytes)
    }

    @Test func imagesThatNeedOtherFilesAreRefused() async throws {
        var external = QcowImage()
        external.features = 1 << 2
        for image in [QcowImage(over: "/etc/shadow"), external] {
            let fixture = try fixture(image)
            await expect(.unsafe) { try await register(fixture) }
            #expect(fixture.files.isEmpty)
        }
    }

    @Test func tooLargeADiskIsRefused() async throws {
        let fixture = try fixture()
        var registration = fixture.registration(fixture.directory["disk"])
        registration.maximumSize = ByteCount(1 << 19)
        await expect(.limitExceeded) {
            try await fixture.store.register(registration, progress: nil)
        }
        #expect(fixture.files.isEmpty)
    }

    @Test func rawImagesAreRefused() async throws {
        let fixture = try fixture()
        var sector = [UInt8](repeating: 0xEB, count: 512)
        sector[510...] = [0x55, 0xAA]
        try fixture.directory.write(sector + [UInt8](repeating: 0, count: 1 << 20), to: "raw")
        await expect(.unsupported) { try await register(fixture, "raw") }
        #expect(fixture.files.isEmpty)
    }

    @Test func whatChangedSinceIsFound() async throws {
        let fixture = try fixture()
        let template = try await register(fixture)
        let place = "secondary/template/tmpl/1/10/\(template.fileName)"
        var bytes = QcowImage().bytes
        bytes[bytes.count - 1] ^= 1
        try fixture.directory.write(bytes, to: place)
        await expect(.corrupt) { try await fixture.store.verify(fixture.key, progress: nil) }
        var other = QcowImage(over: "/etc/shadow").bytes
        other += [UInt8](repeating: 0, count: bytes.count - min(bytes.count, other.count))
        try fixture.directory.write(other, to: place)
        let error = await #expect(throws: LXCError.self) { try await fixture.store.verify(fixture.key, progress: nil) }
        #expect([.unsafe, .corrupt].contains(error?.code))
    }

    @Test func anImageOfCloudStackIsRead() async throws {
        let fixture = try fixture()
        let size = QcowImage().bytes.count
        let place = "secondary/template/tmpl/1/3"
        try fixture.directory.write(QcowImage().bytes, to: "\(place)/by-hand.qcow2")
        try fixture.directory.write(
            """
            #
            #Thu Jul 18 11:22:33 UTC 2013
            filename=by-hand.qcow2
            id=3
            public=true
            qcow2=true
            qcow2.filename=by-hand.qcow2
            qcow2.size=\(size)
            qcow2.virtualsize=1048576
            uniquename=routing-3
            description=SystemVM Template
            checksum=
            hvm=false
            size=\(size)
            virtualsize=1048576

            """, to: "\(place)/template.properties")
        let key = TemplateKey(account: 1, id: 3)
        let template = try await fixture.store.template(key)
        #expect(template.format == .qcow2 && template.virtualSize == ByteCount(1 << 20))
        #expect(try await fixture.store.list().templates == [template])
        #expect(try await fixture.store.image(of: key).sha256 == nil)
        try await fixture.store.verify(key, progress: nil)
    }
}
