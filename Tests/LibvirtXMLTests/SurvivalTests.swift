// SPDX-License-Identifier: Apache-2.0

import LXCCore
import LibvirtXML
import TestSupport
import Testing

/// What the model does not know survives a change of what it knows.
@Suite(.limited) struct SurvivalTests {
    private static let document = """
        <domain type='kvm' id='3' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
          <name>r-4-VM</name>
          <genid>1b4e28ba-2fa1-11d2-883f-0016d3cca427</genid>
          <metadata>
            <app:a xmlns:app='urn:app' note='1'>mixed <app:b/> text<c xmlns=''/></app:a>
            <d xmlns='urn:d'><e f='g'> </e></d>
          </metadata>
          <memory unit='MiB' dumpCore='off'>256</memory>
          <memtune><hard_limit unit='GiB'>1</hard_limit><min_guarantee unit='KiB'>5</min_guarantee></memtune>
          <vcpu placement='static'>1</vcpu>
          <cputune><vcpupin vcpu='0' cpuset='1'/><shares>512</shares></cputune>
          <os firmware='efi'><type machine='q35'>hvm</type><loader secure='no'/><bootmenu enable='yes'/></os>
          <features><apic eoi='on'/><hyperv><relaxed state='on'/></hyperv><acpi/></features>
          <cpu mode='host-model'/>
          <clock offset='variable' adjustment='7' basis='utc'/>
          <on_lockfailure>poweroff</on_lockfailure>
          <devices>
            <disk type='network' device='cdrom'>
              <source protocol='http' name='a.iso'><host name='h' port='80'/></source>
              <target dev='sda' bus='sata' tray='open'/>
              <shareable/>
            </disk>
            <controller type='usb' index='0'/>
            <filesystem type='template' multidevs='remap'><source name='t'/><target dir='/x'/></filesystem>
            <interface type='user'><mac address='52:54:00:00:00:01'/><rom bar='off'/></interface>
            <interface type='direct' trustGuestRxFilters='yes'>
              <mac address='52:54:00:00:00:02' type='static'/>
              <source dev='eth0' mode='vepa'/>
              <virtualport><parameters typeid='5'/></virtualport>
              <bandwidth><inbound average='5' floor='2'/></bandwidth>
              <target dev='macvtap0' managed='no'/>
              <vlan><tag id='7'/></vlan>
            </interface>
            <serial type='tcp'>
              <source mode='bind' host='127.0.0.1' service='4555'/><protocol type='telnet'/>
              <target type='isa-serial' port='0'><model name='isa-serial'/></target>
            </serial>
            <channel type='spicevmc'><target type='virtio' name='com.redhat.spice.0' state='connected'/></channel>
            <channel type='pty'><target type='guestfwd' address='10.0.2.1' port='4600'/></channel>
            <hostdev mode='subsystem' type='usb'>
              <source><vendor id='0x1234'/><product id='0xbeef'/></source>
            </hostdev>
            <hostdev mode='capabilities' type='net'>
              <source><interface>eth1</interface></source><ip address='10.0.0.1' family='ipv4'/>
            </hostdev>
            <memballoon model='virtio' autodeflate='on'><stats period='5'/></memballoon>
            <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
          </devices>
          <seclabel type='none'/>
          <qemu:commandline><qemu:arg value='-v'/></qemu:commandline>
        </domain>
        """

    @Test func aChangeLeavesTheRest() throws {
        try validateAgainstLibvirtSchema(Self.document)
        var domain = try Domain(xml: Self.document)
        domain.memory = .mebibytes(512)
        domain.interfaces[1].mtu = 1400
        domain.cpuTuning.shares = nil
        let text = try valid(domain)
        let before = try leaves(of: XMLFragment(xml: Self.document))
        let after = try leaves(of: XMLFragment(xml: text))
        #expect(
            before.subtracting(after) == [
                "/domain/memory@unit=MiB", "/domain/memory=256", "/domain/cputune/shares=512",
                "/domain/memtune/hard_limit@unit=GiB", "/domain/memtune/hard_limit=1",
            ])
        #expect(
            after.subtracting(before) == [
                "/domain/memory@unit=KiB", "/domain/memory=524288", "/domain/memtune/hard_limit@unit=KiB",
                "/domain/memtune/hard_limit=1048576", "/domain/devices/interface/mtu",
                "/domain/devices/interface/mtu@size=1400",
            ])
        #expect(try Domain(xml: text) == domain)
    }

    @Test func theModelSaysWhatItDoesNotKnow() throws {
        let domain = try Domain(xml: Self.document)
        #expect(domain.disks.map(\.source) == [.other(type: "network")])
        #expect(domain.filesystems.map(\.source) == [.other(type: "template")])
        #expect(domain.interfaces.map(\.kind) == [.other(type: "user"), .direct(device: "eth0", mode: .vepa)])
        #expect(domain.channels.map(\.name) == ["com.redhat.spice.0", nil])
        #expect(domain.hostDevices.map(\.source) == [.other, .network("eth1")])
        #expect(domain.clock == nil)
        #expect(domain.features.apic && domain.features.acpi && !domain.features.pae)
    }

    @Test func anInterfaceKeepsItsPlaceAmongOthersItsModelDoesNotKnow() throws {
        let again = try Domain(xml: Domain(xml: Self.document).xml())
        #expect(again.interfaces.map { $0.mac?.description } == ["52:54:00:00:00:01", "52:54:00:00:00:02"])
    }

    @Test func aFeatureSwitchedOffIsGoneWithAllItHeld() throws {
        var domain = try Domain(xml: Self.document)
        domain.features.apic = false
        #expect(try !valid(domain).contains("<apic"))
    }

    @Test func severalDevicesElementsBecomeOne() throws {
        let domain = try Domain(
            xml: """
                <domain type='lxc'><devices><console/><emulator>/e</emulator></devices>
                <devices><console type='null'/></devices></domain>
                """)
        #expect(domain.consoles.map(\.source) == [.pty(path: nil), .null])
        #expect(domain.emulator == "/e")
    }

    @Test func namespacesAreThoseOfTheDocument() throws {
        let domain = try Domain(xml: Self.document)
        #expect(domain.metadata.map(\.name.namespace) == ["urn:app", "urn:d"])
        let again = try Domain(xml: valid(domain))
        #expect(again.metadata == domain.metadata)
        #expect(again.metadata.first?.elements.map(\.name) == [XMLName("b", namespace: "urn:app"), "c"])
    }

    /// All elements, attributes and texts with the path to them.
    private func leaves(of element: XMLFragment, path: String = "") -> Set<String> {
        let path = "\(path)/\(element.name)"
        var leaves: Set<String> = element.children.isEmpty ? [path] : []
        for attribute in element.attributes { leaves.insert("\(path)@\(attribute.name)=\(attribute.value)") }
        for child in element.children {
            switch child {
            case .text(let text): leaves.insert("\(path)=\(text)")
            case .element(let child): leaves.formUnion(self.leaves(of: child, path: path))
            }
        }
        return leaves
    }
}
