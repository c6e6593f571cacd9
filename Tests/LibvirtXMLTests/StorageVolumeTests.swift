// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCCore
import LibvirtXML
import TestSupport
import Testing

@Suite struct StorageVolumeTests {
    @Test func documentsFollowLibvirtsSchemas() throws {
        let pool = DirectoryStoragePool(uuid: UUID(), directory: "/srv/a & b")
        try validateAgainstLibvirtSchema(pool.xml(), schema: "storagepool")
        let volume = StorageVolume(name: "disk", capacity: .gibibytes(3), backing: "/srv/a & b/base")
        let xml = try volume.xml()
        try validateAgainstLibvirtSchema(xml, schema: "storagevol")
        // The format of the base too: a guess would be the guest's to make.
        #expect(xml.components(separatedBy: #"<format type="qcow2"/>"#).count == 3)
        #expect(xml.contains("<path>/srv/a &amp; b/base</path>"))
        let alone = try StorageVolume(name: "disk", capacity: .gibibytes(3)).xml()
        try validateAgainstLibvirtSchema(alone, schema: "storagevol")
        #expect(!alone.contains("backingStore"))
    }

    @Test(arguments: ["", "a/b", "a\nb"]) func refusesWhatIsNoName(name: String) {
        #expect(failure(of: { try StorageVolume(name: name, capacity: .gibibytes(1)).xml() })?.code == .invalidArgument)
    }

    @Test func refusesWhatIsNoPathAndNoSize() {
        #expect(
            failure(of: { try StorageVolume(name: "a", capacity: .gibibytes(1), backing: "b").xml() })?.code
                == .invalidArgument)
        #expect(failure(of: { try StorageVolume(name: "a", capacity: ByteCount(0)).xml() })?.code == .invalidArgument)
        #expect(failure(of: { try DirectoryStoragePool(uuid: UUID(), directory: "b").xml() })?.code == .invalidArgument)
    }

    @Test func aDisksBaseIsWrittenToItsEnd() throws {
        var disk = Disk(.file("/srv/disk"), target: "vda", bus: "virtio")
        disk.driverName = "qemu"
        disk.format = "qcow2"
        try disk.setBase("/srv/other")
        try disk.setBase("/srv/base")
        var domain = Domain(type: .qemu, name: "v-2-VM", os: .machine())
        domain.memory = .mebibytes(64)
        domain.disks = [disk]
        let xml = try valid(domain)
        #expect(xml.contains("/srv/base") && !xml.contains("/srv/other"))
        #expect(xml.components(separatedBy: "<backingStore").count == 3)
        #expect(try Domain(xml: xml) == domain)
        #expect(failure(of: { try disk.setBase("relative") })?.code == .invalidArgument)
    }
}
