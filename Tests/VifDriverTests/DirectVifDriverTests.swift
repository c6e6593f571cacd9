// SPDX-License-Identifier: Apache-2.0

import LXCCore
import LibvirtXML
import TestSupport
import Testing
import VifDriver

@Suite(.limited) struct DirectVifDriverTests {
    private let host: FakeHost
    private let guest: GuestName

    init() throws {
        host = try FakeHost()
        try host.add(device: "eth0")
        try host.add(port: "eth1", of: "cloudbr0")
        guest = try GuestName("i-2-3-VM")
    }

    private func driver(_ device: String = "eth0", _ mode: Interface.DirectMode = .private) -> DirectVifDriver {
        DirectVifDriver(device: device, mode: mode, sysfs: host.sysfs)
    }

    @Test(arguments: Interface.DirectMode.allCases)
    func aNICBecomesAnInterfaceOnTheDevice(_ mode: Interface.DirectMode) async throws {
        let nic = NIC(deviceID: 2, mac: try MACAddress("02:00:4c:3b:00:01"), bridge: "ignored")
        let interface = try valid(await driver("eth0", mode).plug(nic, of: guest))
        #expect(interface.kind == .direct(device: "eth0", mode: mode))
        #expect(interface.mac == nic.mac && interface.guestDevice == "eth2" && interface.targetDevice == nil)
        try await driver().unplug(interface)
        try await driver().unplug(interface)
    }

    @Test func aBridgesPortIsRefused() async throws {
        let error = await failure { try await driver("eth1").plug(NIC(), of: guest) }
        #expect(error?.code == .invalidArgument)
        #expect(error?.message.contains("cloudbr0") == true)
    }

    @Test func aMissingDeviceIsNotFound() async throws {
        let error = await failure { try await driver("eth9").plug(NIC(), of: guest) }
        #expect(error?.code == .notFound)
        #expect(error?.message.contains("eth9") == true)
    }

    @Test(arguments: ["", "..", "../sysfs", "eth0/brport"])
    func aNameNoDeviceCanHaveIsRefused(_ name: String) async throws {
        #expect(await failure { try await driver(name).plug(NIC(), of: guest) }?.code == .invalidArgument)
    }

    /// libvirt refuses a rate on a direct interface when the guest starts, and leaves a filter out without a word.
    @Test func whatLibvirtCannotDoIsUnsupported() async throws {
        let nics = [
            NIC(megabitsPerSecond: 10), NIC(filter: "clean-traffic"), NIC(mac: .random(), security: NICSecurity()),
            NIC(broadcast: .vlan(5)), NIC(isIsolated: true),
        ]
        for nic in nics {
            #expect(await failure { try await driver().plug(nic, of: guest) }?.code == .unsupported)
        }
    }

    @Test(arguments: TrafficType.allCases) func onlyGuestAndPublicTrafficIsServed(_ traffic: TrafficType) async throws {
        if traffic == .guest || traffic == .public {
            _ = try valid(await driver().plug(NIC(trafficType: traffic), of: guest))
        } else {
            let error = await failure { try await driver().plug(NIC(trafficType: traffic), of: guest) }
            #expect(error?.code == .unsupported)
            #expect(error?.message.contains(traffic.rawValue) == true)
        }
    }
}
