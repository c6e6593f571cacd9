// SPDX-License-Identifier: Apache-2.0

import LXCCore
import LibvirtXML
import TestSupport
import Testing

@testable import VifDriver

/// The way out of a host, concluded from what sysfs shows and never from names.
@Suite(.limited) struct HostNetworkTests {
    private let host: FakeHost
    private let network: HostNetwork

    init() throws {
        host = try FakeHost()
        network = HostNetwork(root: host.sysfs)
    }

    @Test func aPhysicalPortIsTheWayOutWhateverItsName() throws {
        try host.add(bridge: "cloudbr0")
        for cable in ["vnet0", "eth9", "lx0123456789abc"] { try host.add(port: cable, of: "cloudbr0") }
        try host.add(port: "zebra", of: "cloudbr0", isPhysical: true)
        #expect(try network.uplink(of: "cloudbr0") == "zebra")
        #expect(try network.uplink(of: "zebra") == "zebra")
    }

    @Test func bondsAndTeamsLeadOut() throws {
        try host.add(port: "first", of: "br-a")
        try host.addFile("first/bonding/slaves")
        #expect(try network.uplink(of: "br-a") == "first")
        try host.add(port: "second", of: "br-b")
        try host.addLink("second/lower_member")
        #expect(try network.uplink(of: "br-b") == "second")
    }

    @Test func ofAVLANItIsTheDeviceBelow() throws {
        try host.add(device: "nic")
        try host.add(port: "outer", of: "br-a")
        try host.addFile("outer/uevent", "DEVTYPE=vlan\nINTERFACE=outer\n")
        try host.addLink("outer/lower_inner")
        try host.add(device: "inner")
        try host.addFile("inner/uevent", "DEVTYPE=vlan\n")
        try host.addLink("inner/lower_nic")
        #expect(try network.uplink(of: "br-a") == "nic")
        #expect(try network.uplink(of: "outer") == "nic")
    }

    @Test func overlaysAreNoWayOut() async throws {
        try host.add(bridge: "br-a")
        for kind in ["vxlan", "macvlan", "macvtap"] {
            try host.add(port: "port-\(kind)", of: "br-a")
            try host.addFile("port-\(kind)/uevent", "DEVTYPE=\(kind)\n")
            try host.addLink("port-\(kind)/lower_nic")
        }
        let none = await failure { try network.uplink(of: "br-a") }
        #expect(none?.code == .invalidArgument && none?.message.contains("br-a") == true)
    }

    @Test func severalWaysOutAreNamed() async throws {
        try host.add(port: "one", of: "br-a", isPhysical: true)
        try host.add(port: "two", of: "br-a", isPhysical: true)
        let error = await failure { try network.uplink(of: "br-a") }
        #expect(error?.code == .invalidArgument && error?.message.contains("one, two") == true)
    }

    @Test func aBondsMemberIsRefused() async throws {
        try host.add(device: "nic")
        try host.addFile("nic/bonding_slave/state")
        #expect(await failure { try network.uplink(of: "nic") }?.code == .invalidArgument)
        #expect(await failure { try network.uplink(of: "missing") }?.code == .notFound)
    }

    @Test func bridgesHaveCloudStacksNamesOrShortOnes() throws {
        #expect(ManagedBridge.vlan(4094, on: "eth0").name == "breth0-4094")
        #expect(ManagedBridge.vlan(4094, on: "eth0").uplinkDevice == "eth0.4094")
        #expect(ManagedBridge.vxlan(16_777_215, on: "eth0").name == "brvx-16777215")
        #expect(ManagedBridge.vxlan(16_777_215, on: "eth0").uplinkDevice == "vxlan16777215")
        let long = ManagedBridge.vlan(4094, on: "enp130s0f0np0")
        #expect(long == .vlan(4094, on: "enp130s0f0np0"))
        #expect(long.name == "br583324b0-4094" && long.uplinkDevice == "vl583324b0.4094")
        #expect(ManagedBridge.vlan(4094, on: "enp130s0f0np1").name != long.name)
        for device in ["e", "eth0", "enp3s0f1", "enp130s0f0np0", "fifteen-bytes-x"] {
            for bridge in [ManagedBridge.vlan(1, on: device), .vlan(4094, on: device), .vxlan(16_777_215, on: device)] {
                #expect(Interface.isDeviceName(bridge.name) && Interface.isDeviceName(bridge.uplinkDevice ?? ""))
            }
        }
    }
}
