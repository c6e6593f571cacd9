// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCCore
import LibvirtXML
import TestSupport
import Testing

@Suite struct NFSStoragePoolTests {
    private let uuid = UUID()

    @Test(arguments: [nil, "3", "4.2"]) func followsLibvirtsSchema(version: String?) throws {
        let pool = NFSStoragePool(uuid: uuid, server: "nas.example.org", export: "/export/primary", version: version)
        #expect(pool.target == "/mnt/\(uuid.uuidString.lowercased())")
        try validateAgainstLibvirtSchema(pool.xml(), schema: "storagepool")
    }

    @Test func textCannotBecomeMarkup() throws {
        let hostile = "/a'/><target><path>/etc</path></target><x y='\"&"
        let xml = try NFSStoragePool(uuid: uuid, server: "nas", export: hostile).xml()
        try validateAgainstLibvirtSchema(xml, schema: "storagepool")
        #expect(!xml.contains("<path>/etc"))
        #expect(xml.components(separatedBy: "<target>").count == 2)
    }

    /// libvirt puts `nodev,nosuid,noexec` before the options it is given: nothing could be run from the mount.
    @Test func containersRunFromTheMount() throws {
        var pool = NFSStoragePool(uuid: uuid, server: "nas", export: "/export")
        pool.mountOptions += ["port=12049"]
        let xml = try pool.xml()
        try validateAgainstLibvirtSchema(xml, schema: "storagepool")
        let options = try XMLFragment(xml: xml).elements.first { $0.name.local == "mount_opts" }?.elements ?? []
        #expect(options.map { $0[attribute: "name"] } == ["exec", "suid", "port=12049"])
        pool.mountOptions = []
        #expect(try !pool.xml().contains("mount_opts"))
    }

    @Test(arguments: ["", "exec,port=1", "ex ec", "a\nb"]) func refusesWhatIsNotOneOption(option: String) {
        let pool = NFSStoragePool(uuid: uuid, server: "nas", export: "/export", mountOptions: [option])
        let error = #expect(throws: LXCError.self) { try pool.xml() }
        #expect(error?.message.contains("mount_opts/option@name") == true, "\(String(describing: error))")
    }

    @Test(arguments: ["", "relative", "/with\nline"]) func refusesWhatIsNoPath(export: String) {
        let pool = NFSStoragePool(uuid: uuid, server: "nas", export: export)
        #expect(throws: LXCError.self) { try pool.xml() }
    }
}
