// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCHypervisor
import LibvirtXML
import PrimaryStore
import TestSupport
import Testing

@Suite struct SystemVMSpecificationTests {
    private let template = "402b0be5-b840-3fef-b292-d330f3bf809a"
    private let disk = DiskOverlay(
        directory: "/srv/pool", name: "edb596f6-42fb-499d-8ded-8834aff52d75",
        base: "/srv/pool/402b0be5-b840-3fef-b292-d330f3bf809a", virtualSize: .gibibytes(3))

    private func decode(_ json: String) throws -> SystemVMSpecification {
        try JSONDecoder().decode(SystemVMSpecification.self, from: Data(json.utf8))
    }

    @Test func nameAndTemplateAreEnough() throws {
        let specification = try decode(#"{"name": "v-2-VM", "template": "\#(template)"}"#)
        #expect(specification.memory == .mebibytes(512) && specification.cpus == 1)
        #expect(specification.acceleration == nil && specification.kernel == nil && specification.diskSize == nil)
    }

    @Test func everyKeyIsReadAndWritten() throws {
        let specification = try decode(
            #"""
            {"name": "r-4-VM", "template": "\#(template)", "uuid": "8D0BBB0A-9A4C-4A6E-8A55-0C4F0C9F8E11",
             "volume": "edb596f6-42fb-499d-8ded-8834aff52d75", "diskSize": "4GiB", "memory": 268435456, "cpus": 2,
             "nics": [{"trafficType": "Control"}, {"bridge": "br1"}], "bootArguments": "template=domP type=router",
             "kernel": {"path": "/boot/k", "initialRAMDisk": "/boot/i", "arguments": "console=ttyS0"},
             "acceleration": "qemu", "owner": "alice", "title": "a router"}
            """#)
        #expect(specification.diskSize == .gibibytes(4) && specification.memory == .mebibytes(256))
        #expect(specification.nics.map(\.deviceID) == [0, 1])
        #expect(specification.acceleration == .emulation)
        #expect(specification.kernel?.initialRAMDisk == "/boot/i")
        let again = try JSONDecoder().decode(
            SystemVMSpecification.self, from: JSONEncoder().encode(specification))
        #expect(again == specification)
    }

    @Test(arguments: [
        #""name": "v/2""#, #""name": "v-2-VM", "memroy": 1"#, #""name": "v-2-VM", "memory": "lots""#,
        #""name": "v-2-VM", "kernel": {"path": "/k", "initrd": "/i"}"#,
    ])
    func whatBreaksARuleIsRefused(_ keys: String) {
        let error = #expect(throws: LXCError.self) { try decode(#"{"template": "\#(template)", \#(keys)}"#) }
        #expect(error?.code == .invalidArgument)
    }

    @Test(arguments: [DomainType.kvm, .qemu]) func theDocumentFollowsLibvirtsSchema(type: DomainType) async throws {
        var specification = try decode(#"{"name": "s-1-VM", "template": "\#(template)", "owner": "alice"}"#)
        specification.nics = [NIC(trafficType: .control, bridge: "cloud0"), NIC(deviceID: 1, bridge: "cloudbr1")]
        let interfaces = try await VifDrivers(standard: NamingDriver()).plug(specification.nics, of: specification.name)
        let pool = PoolID.random()
        let document = try specification.domain(type: type, disk: disk, interfaces: interfaces, pool: pool)
        let xml = try document.xml()
        try validateAgainstLibvirtSchema(xml)
        #expect(try Domain(xml: xml) == document)
        #expect(document.disks.map(\.format) == ["qcow2"] && document.disks.map(\.source) == [.file(disk.path)])
        // The whole chain is written down, so that nothing is read from headers.
        #expect(xml.contains(disk.base) && xml.components(separatedBy: "<backingStore").count == 3)
        #expect(document.features.acpi && document.os.bootDevices == [.hardDisk])
        #expect(document.channels.map(\.name) == ["org.qemu.guest_agent.0"])
        let metadata = try #require(try document.containerMetadata())
        #expect(metadata.pool == pool && metadata.volume == specification.volume && metadata.owner == "alice")
        #expect(metadata.networks.map(\.traffic) == ["Control", "Guest"])
    }

    @Test func bootArgumentsGoToAKernelOfItsOwnAndElsewhereNotIntoTheDocument() throws {
        var specification = try decode(#"{"name": "v-2-VM", "template": "\#(template)"}"#)
        specification.bootArguments = "template=domP vmpassword=secret <&>'"
        let plain = try specification.domain(type: .qemu, disk: disk)
        #expect(try !plain.xml().contains("secret") && plain.os.kernelCommandLine == nil)
        specification.kernel = .init(path: "/boot/vmlinuz", arguments: "console=ttyS0")
        let direct = try specification.domain(type: .qemu, disk: disk)
        #expect(direct.os.kernelCommandLine == "console=ttyS0 template=domP vmpassword=secret <&>'")
        try validateAgainstLibvirtSchema(direct.xml())
        specification.bootArguments = String(repeating: "x", count: 2048)
        #expect(throws: LXCError.self) { try specification.domain(type: .qemu, disk: disk) }
    }

    @Test(arguments: ["a\nb", "a\u{0}", "a\rb", "\u{7F}"]) func bootArgumentsAreOneLine(_ arguments: String) throws {
        var specification = try decode(#"{"name": "v-2-VM", "template": "\#(template)"}"#)
        specification.bootArguments = "password=hidden \(arguments)"
        let error = #expect(throws: LXCError.self) { try specification.domain(type: .qemu, disk: disk) }
        #expect(error?.code == .invalidArgument)
        #expect(error?.message.contains("hidden") == false, "they may be secret")
    }

    @Test func impossibleMachinesAreRefused() throws {
        let specification = try decode(#"{"name": "v-2-VM", "template": "\#(template)"}"#)
        let changes: [(inout SystemVMSpecification) -> Void] = [
            { $0.cpus = 0 }, { $0.memory = ByteCount(0) }, { $0.nics = [NIC(), NIC()] },
            { $0.kernel = .init(path: "relative") },
        ]
        for change in changes {
            var specification = specification
            change(&specification)
            let error = #expect(throws: LXCError.self) { try specification.domain(type: .qemu, disk: disk).xml() }
            #expect(error?.code == .invalidArgument)
        }
    }
}

/// Makes interfaces without looking at the host.
private struct NamingDriver: VifDriver {
    let name = "naming"

    func plug(_ nic: NIC, of guest: GuestName) -> Interface { Interface(.bridge(nic.bridge ?? "br"), mac: nic.mac) }

    func connection(of nic: NIC) -> Interface.Kind { .bridge(nic.bridge ?? "br") }

    func unplug(_ interface: Interface) {}
}
