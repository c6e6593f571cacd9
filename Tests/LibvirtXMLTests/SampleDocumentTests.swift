// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCCore
import LibvirtXML
import TestSupport
import Testing

/// The documents the project starts from: the one its specification shows, the one CloudStack really makes, and the
/// one libvirt gives back for a running container.
@Suite(.limited) struct SampleDocumentTests {
    @Test func theSpecificationsSampleIsRead() throws {
        let domain = try Domain(
            xml: """
                <domain type='lxc'>
                  <os>
                    <type arch='x86_64'>exe</type>
                    <!-- specifies the startup script -->
                    <init>/sbin/init</init>
                  </os>
                  <devices>
                    <!-- specifies the directory containing the root filesystem -->
                    <filesystem type='mount'>
                      <source dir='/mnt/primary/edb596f6-42fb-499d-8ded-8834aff52d75'/>
                      <target dir='/'/>
                    </filesystem>
                  </devices>
                </domain>
                """)
        let os = OperatingSystem.container(initPath: "/sbin/init", architecture: "x86_64")
        var expected = Domain(type: .lxc, name: "", os: os)
        expected.filesystems = [
            Filesystem(.mount("/mnt/primary/edb596f6-42fb-499d-8ded-8834aff52d75"), target: "/")
        ]
        #expect(domain == expected)
    }

    @Test func aContainerWithTheSpecificationsValuesIsWritten() throws {
        let os = OperatingSystem.container(initPath: "/sbin/init", architecture: "x86_64")
        var domain = Domain(type: .lxc, name: "i-2-3-VM", os: os)
        domain.uuid = UUID(uuidString: "EDB596F6-42FB-499D-8DED-8834AFF52D75")
        domain.memory = .mebibytes(512)
        domain.virtualCPUs = VirtualCPUs(count: 1)
        domain.idMap = try IDMap(host: 100_000, count: 65536)
        domain.features = Features(privateNetwork: true)
        domain.onPowerOff = .destroy
        domain.onReboot = .restart
        domain.onCrash = .destroy
        domain.filesystems = [
            Filesystem(.mount("/mnt/primary/edb596f6-42fb-499d-8ded-8834aff52d75"), target: "/")
        ]
        domain.interfaces = [Interface(.bridge("cloudbr0"), mac: try MACAddress("02:00:4C:3B:00:01"))]
        domain.consoles = [CharacterDevice(targetType: "lxc", port: 0)]
        try domain.setContainerMetadata(
            ContainerMetadata(
                pool: PoolID(parsing: "11111111-2222-3333-4444-555555555555"),
                volume: VolumeID(parsing: "edb596f6-42fb-499d-8ded-8834aff52d75"),
                template: TemplateID(parsing: "2cc4e71e-2e4b-4987-a48e-dfae08e0d767"), owner: "R&D"))
        #expect(try valid(domain) == Self.golden)
        #expect(try Domain(xml: Self.golden) == domain)
    }

    private static let golden = """
        <domain type="lxc">
          <name>i-2-3-VM</name>
          <uuid>edb596f6-42fb-499d-8ded-8834aff52d75</uuid>
          <metadata>
            <lxc-hypervisor:container xmlns:lxc-hypervisor="https://lxchypervisor.org/xmlns/domain/1.0">
              <lxc-hypervisor:pool>11111111-2222-3333-4444-555555555555</lxc-hypervisor:pool>
              <lxc-hypervisor:volume>edb596f6-42fb-499d-8ded-8834aff52d75</lxc-hypervisor:volume>
              <lxc-hypervisor:template>2cc4e71e-2e4b-4987-a48e-dfae08e0d767</lxc-hypervisor:template>
              <lxc-hypervisor:owner>R&amp;D</lxc-hypervisor:owner>
            </lxc-hypervisor:container>
          </metadata>
          <memory unit="KiB">524288</memory>
          <vcpu>1</vcpu>
          <os>
            <type arch="x86_64">exe</type>
            <init>/sbin/init</init>
          </os>
          <idmap>
            <uid start="0" target="100000" count="65536"/>
            <gid start="0" target="100000" count="65536"/>
          </idmap>
          <features>
            <privnet/>
          </features>
          <on_poweroff>destroy</on_poweroff>
          <on_reboot>restart</on_reboot>
          <on_crash>destroy</on_crash>
          <devices>
            <filesystem type="mount">
              <source dir="/mnt/primary/edb596f6-42fb-499d-8ded-8834aff52d75"/>
              <target dir="/"/>
            </filesystem>
            <interface type="bridge">
              <mac address="02:00:4c:3b:00:01"/>
              <source bridge="cloudbr0"/>
            </interface>
            <console type="pty">
              <target type="lxc" port="0"/>
            </console>
          </devices>
        </domain>

        """

    @Test func cloudStacksDocumentIsRead() throws {
        let domain = try Domain(
            xml: """
                <domain type='lxc'>
                <name>i-2-3-VM</name>
                <uuid>7a1a4ff6-0f4a-4d5c-a9d9-0f4f0a7b2f53</uuid>
                <description>Apache Linux</description>
                <clock offset='utc'><timer name='kvmclock' ></timer></clock>
                <features><pae/><apic/><acpi/></features>
                <devices>
                <emulator></emulator>
                <serial type='pty'><target port='0'/></serial>
                <channel type='unix'><source mode='bind' path='/var/lib/libvirt/qemu/i-2-3-VM.org.qemu.guest_agent.0'/>
                <target type='virtio' name='org.qemu.guest_agent.0'/></channel>
                <watchdog model='i6300esb' action='none'/>
                <console type='pty'><target port='0'/></console>
                <interface type='bridge'><source bridge='cloudbr0'/><mac address='06:3c:9a:00:00:12'/>
                <model type='virtio'/><link state='up'/></interface>
                <filesystem type='mount'><source dir='/mnt/pool/root'/><target dir='/'/></filesystem>
                <disk  device='disk' type='block'><source dev='/dev/rbd0'/><target dev='vdb' bus='virtio'/></disk>
                </devices>
                <memory>1048576</memory><currentMemory>524288</currentMemory>
                <devices><memballoon model='none'/></devices><vcpu>2</vcpu>
                <os><type>exe</type><init>/sbin/init</init></os>
                <cpu><topology sockets='2' cores='1' threads='1' /></cpu>
                <cputune><shares>1000</shares><quota>5000</quota><period>10000</period></cputune>
                <on_reboot>restart</on_reboot><on_poweroff>destroy</on_poweroff><on_crash>destroy</on_crash>
                </domain>
                """)
        #expect(domain.name == "i-2-3-VM")
        #expect(domain.memory == .gibibytes(1) && domain.currentMemory == .mebibytes(512))
        #expect(domain.os == .container(initPath: "/sbin/init"))
        #expect(domain.cpuTuning == CPUTuning(shares: 1000, period: 10000, quota: 5000))
        #expect(domain.features == Features(acpi: true, apic: true, pae: true))
        #expect(domain.emulator == nil)
        #expect(domain.memoryBalloon == MemoryBalloonModel.none)
        #expect(domain.serials.map(\.port) == [0] && domain.consoles.map(\.port) == [0])
        #expect(domain.channels.map(\.name) == ["org.qemu.guest_agent.0"])
        #expect(domain.interfaces.map(\.kind) == [.bridge("cloudbr0")])
        #expect(domain.interfaces.map(\.linkState) == [.up])
        #expect(domain.filesystems.map(\.source) == [.mount("/mnt/pool/root")])
        #expect(domain.disks.map(\.source) == [.block("/dev/rbd0")] && domain.disks.map(\.bus) == ["virtio"])
        let text = try valid(domain)
        #expect(try Domain(xml: text) == domain)
        for kept in [#"<timer name="kvmclock"/>"#, #"<topology sockets="2" cores="1" threads="1"/>"#, "<watchdog "] {
            #expect(text.contains(kept))
        }
    }

    @Test func whatLibvirtSaysOfARunningContainerIsRead() throws {
        let domain = try Domain(
            xml: """
                <domain type='lxc' id='4711'>
                  <name>web</name>
                  <uuid>7a1a4ff60f4a4d5ca9d90f4f0a7b2f53</uuid>
                  <memory unit='KiB'>262144</memory>
                  <vcpu placement='static' current='1'>2</vcpu>
                  <resource><partition>/machine</partition></resource>
                  <os><type arch='x86_64'>exe</type><init>/sbin/init</init></os>
                  <features>
                    <capabilities policy='allow'><mknod state='on'/><sys_time state='off'/></capabilities>
                  </features>
                  <devices>
                    <emulator>/usr/lib/libvirt/libvirt_lxc</emulator>
                    <interface type='network'>
                      <mac address='52:54:00:aa:bb:cc'/>
                      <source network='default' portid='1b4e28ba-2fa1-11d2-883f-0016d3cca427' bridge='virbr0'/>
                      <target dev='vnet0'/>
                      <guest dev='eth0' actual='eth0'/>
                    </interface>
                    <console type='pty' tty='/dev/pts/7'>
                      <source path='/dev/pts/7'/>
                      <target type='lxc' port='0'/>
                      <alias name='console0'/>
                    </console>
                  </devices>
                  <seclabel type='none'/>
                </domain>
                """)
        #expect(domain.uuid?.uuidString == "7A1A4FF6-0F4A-4D5C-A9D9-0F4F0A7B2F53")
        #expect(domain.consoles.map(\.source) == [.pty(path: "/dev/pts/7")])
        #expect(domain.consoles.map(\.alias) == ["console0"])
        #expect(domain.interfaces.map(\.kind) == [.network("default")])
        #expect(domain.interfaces.map(\.targetDevice) == ["vnet0"] && domain.interfaces.map(\.guestDevice) == ["eth0"])
        #expect(domain.features.capabilities?.changes == [.mknod: true, .sysTime: false])
        let text = try valid(domain)
        #expect(try Domain(xml: text) == domain)
        for kept in [
            #"id="4711""#, #"placement="static""#, #"current="1""#, "<partition>/machine</partition>",
            #"portid="1b4e28ba-2fa1-11d2-883f-0016d3cca427""#, #"bridge="virbr0""#, #"actual="eth0""#,
            #"tty="/dev/pts/7""#, #"<seclabel type="none"/>"#,
        ] {
            #expect(text.contains(kept), "\(kept) is lost")
        }
    }
}
