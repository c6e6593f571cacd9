// SPDX-License-Identifier: Apache-2.0

import LXCCore
import LibvirtXML
import TestSupport
import Testing
import VifDriver

@Suite(.limited) struct BridgeVifDriverTests {
    private let host: FakeHost
    private let driver: BridgeVifDriver
    private let guest: GuestName

    init() throws {
        host = try FakeHost()
        try host.add(bridge: "cloudbr0")
        try host.add(bridge: "cloudbr1")
        try host.add(device: "eth0")
        try host.add(port: "eth1", of: "cloudbr0")
        driver = BridgeVifDriver(
            devices: [.public: "cloudbr0", .guest: "cloudbr1"], sysfs: host.sysfs, bridgeSettings: host.bridgeSettings)
        guest = try GuestName("i-2-3-VM")
    }

    @Test func aNICBecomesAnInterfaceOnItsBridge() async throws {
        let nic = NIC(
            deviceID: 1, mac: try MACAddress("02:00:4c:3b:00:01"), bridge: "cloudbr0", mtu: 1450,
            megabitsPerSecond: 200, isIsolated: true, model: "virtio", filter: "clean-traffic",
            filterParameters: ["IP": ["10.1.2.3", "10.1.2.4"], "DHCPSERVER": ["10.1.2.1"]])
        let interface = try valid(await driver.plug(nic, of: guest))
        #expect(interface.kind == .bridge("cloudbr0"))
        #expect(interface.mac == nic.mac && interface.mtu == 1450 && interface.model == "virtio")
        #expect(interface.guestDevice == "eth1" && interface.linkState == .up && interface.isPortIsolated)
        // CloudStack: 200 Mbit/s × 128, both ways, average and peak.
        let rate = Interface.Rate(average: 25600, peak: 25600)
        #expect(interface.bandwidth == Interface.Bandwidth(inbound: rate, outbound: rate))
        #expect(interface.filter?.filter == "clean-traffic")
        #expect(
            interface.filter?.parameters.map { "\($0.name)=\($0.value)" }
                == ["DHCPSERVER=10.1.2.1", "IP=10.1.2.3", "IP=10.1.2.4"])
    }

    @Test func aBareNICHasNoLimitAndNoFilter() async throws {
        let interface = try valid(await driver.plug(NIC(), of: guest))
        #expect(interface.kind == .bridge("cloudbr1"))
        #expect(interface.guestDevice == "eth0")
        #expect(interface.bandwidth == nil && interface.filter == nil && interface.mac == nil && interface.mtu == nil)
    }

    @Test func theTypeOfTrafficChoosesTheBridge() async throws {
        let kinds = try await [TrafficType.guest, .public].asyncMap {
            try await driver.plug(NIC(trafficType: $0), of: guest).kind
        }
        #expect(kinds == [.bridge("cloudbr1"), .bridge("cloudbr0")])
        let error = await failure { try await driver.plug(NIC(deviceID: 2, trafficType: .storage), of: guest) }
        #expect(error?.code == .invalidArgument)
        #expect(error?.message.contains("Storage") == true && error?.message.contains("i-2-3-VM") == true)
    }

    @Test func theHostsEndHasAStableNameOfItsOwn() async throws {
        var names: Set<String> = []
        for guest in ["a", "b", "i-2-3-VM", String(repeating: "x", count: 63)] {
            for deviceID in [0, 1, 65535] {
                let plug = { () async throws -> String? in
                    try await driver.plug(NIC(deviceID: deviceID), of: GuestName(guest)).targetDevice
                }
                let name = try #require(await plug())
                #expect(try await plug() == name)
                #expect(name.utf8.count <= 15 && name.hasPrefix("lx"))
                names.insert(name)
            }
        }
        #expect(names.count == 12)
    }

    @Test func aMissingBridgeIsNotFound() async throws {
        let error = await failure { try await driver.plug(NIC(bridge: "br9"), of: guest) }
        #expect(error?.code == .notFound)
        #expect(error?.message.contains("ip link add br9 type bridge") == true)
    }

    @Test(arguments: ["eth0", "eth1"]) func anotherDeviceIsNoBridge(_ name: String) async throws {
        let error = await failure { try await driver.plug(NIC(bridge: name), of: guest) }
        #expect(error?.code == .invalidArgument)
        #expect(error?.message.hasPrefix(name) == true)
    }

    /// A bridge's name cannot make the driver look outside the host's devices, nor put commands into its advice.
    @Test(arguments: ["", ".", "..", "../cloudbr0", "cloudbr0/", "x; reboot", "a\nb", "sixteen-bytes-xx", "br\u{0}"])
    func aNameNoDeviceCanHaveIsRefused(_ name: String) async throws {
        let error = await failure { try await driver.plug(NIC(bridge: name), of: guest) }
        #expect(error?.code == .invalidArgument)
        #expect(error?.message.contains("\n") == false)
    }

    @Test func valuesThatBreakARuleAreRefused() async throws {
        let nics = [
            NIC(deviceID: -1), NIC(deviceID: 65536), NIC(mtu: 67), NIC(mtu: 65536), NIC(megabitsPerSecond: 0),
            NIC(megabitsPerSecond: -1), NIC(megabitsPerSecond: .max), NIC(model: "a'/><x"), NIC(filter: ""),
            NIC(filter: "a b"), NIC(filter: "f", filterParameters: ["a b": ["c"]]),
            NIC(filter: "f", filterParameters: ["a": ["<"]]), NIC(filterParameters: ["IP": ["10.1.2.3"]]),
        ]
        for nic in nics {
            #expect(await failure { try await driver.plug(nic, of: guest) }?.code == .invalidArgument, "\(nic)")
        }
        _ = try valid(await driver.plug(NIC(megabitsPerSecond: 33_554_431), of: guest))
    }

    @Test func securityIsAFilterOfTheNICsOwn() async throws {
        let nic = NIC(mac: .random(), security: NICSecurity(rules: []))
        let interface = try valid(await driver.plug(nic, of: guest))
        #expect(interface.filter?.filter == (try nic.networkFilter(of: guest)?.name))
        #expect(interface.filter?.parameters.isEmpty == true)
        var wrong = [nic, nic, nic]
        wrong[0].mac = nil
        wrong[1].filter = "clean-traffic"
        wrong[2].security?.addresses = [try IPNetwork(parsing: "10.0.0.0/8")]
        for nic in wrong { #expect(await failure { try await driver.plug(nic, of: guest) }?.code == .invalidArgument) }
    }

    @Test func rulesNeedAKernelThatFiltersBridges() async throws {
        try host.addFile("settings/bridge-nf-call-ip6tables", "0\n")
        let rules = NIC(mac: .random(), security: NICSecurity(rules: []))
        let error = await failure { try await driver.plug(rules, of: guest) }
        #expect(error?.code == .unsupported && error?.message.contains("bridge-nf-call-ip6tables=1") == true)
        // Addresses are looked at in frames, which needs none of it.
        _ = try await driver.plug(NIC(mac: .random(), security: NICSecurity()), of: guest)
    }

    @Test func aTaggedNetworkNeedsAWayOut() async throws {
        let vlan = NIC(broadcast: .vlan(5), bridge: "cloudbr0")
        #expect(await failure { try await driver.plug(vlan, of: guest) }?.message.contains("leads out") == true)
        let range = NIC(broadcast: .vlan(4095), bridge: "cloudbr0")
        #expect(await failure { try await driver.plug(range, of: guest) }?.code == .invalidArgument)
    }

    @Test func unplugIsIdempotent() async throws {
        let interface = try await driver.plug(NIC(), of: guest)
        try await driver.unplug(interface)
        try await driver.unplug(interface)
        try await driver.unplug(Interface(.network("default")))
    }

    /// Reads the running host's own sysfs: the loopback device is everywhere, and nowhere a bridge.
    @Test func theHostsOwnDevicesAreSeen() async throws {
        let error = await failure { try await BridgeVifDriver().plug(NIC(bridge: "lo"), of: guest) }
        #expect(error?.code == .invalidArgument)
    }
}

extension Sequence {
    fileprivate func asyncMap<Value>(_ transform: (Element) async throws -> Value) async rethrows -> [Value] {
        var values: [Value] = []
        for element in self { try await values.append(transform(element)) }
        return values
    }
}
