// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCCore
import LibvirtXML
import TestSupport
import Testing
import VifDriver

@Suite(.limited) struct NICTests {
    @Test func jsonSurvives() throws {
        let nic = NIC(
            deviceID: 3, mac: .random(), trafficType: .public, broadcast: .vxlan(5), bridge: "br0", mtu: 9000,
            megabitsPerSecond: 100, isIsolated: true, model: "virtio", filter: "f",
            filterParameters: ["IP": ["10.0.0.1"]], security: NICSecurity(rules: []))
        #expect(try JSONDecoder().decode(NIC.self, from: JSONEncoder().encode(nic)) == nic)
        #expect(try JSONDecoder().decode(NIC.self, from: JSONEncoder().encode(NIC())) == NIC())
    }

    @Test func whatADriverCannotGiveIsRefusedByName() throws {
        let driver = DirectVifDriver(device: "eth0", mode: .bridge)
        let guest = try GuestName("web1")
        let nic = NIC(broadcast: .vlan(5), bridge: "br0", mtu: 1400, megabitsPerSecond: 10, isIsolated: true)
        #expect(nic.features == [.vlan, .bridge, .mtu, .rate, .isolation])
        #expect(NIC().features.isEmpty)
        try nic.require(only: nic.features, of: guest, by: driver)
        let error = expect(.unsupported) {
            try nic.require(only: [.vlan, .bridge, .mtu], of: guest, by: driver)
        }
        #expect(error?.message.contains("NIC 0 of web1 asks for a rate, isolation, which") == true)
        let traffic = expect(.unsupported) {
            try nic.require(traffic: [.management, .storage], of: guest, by: driver)
        }
        #expect(traffic?.message.contains("Management and Storage") == true)
    }

    @Test func valuesThatFitNowhereAreInvalid() throws {
        let wrong = [
            NIC(deviceID: -1), NIC(deviceID: 65_536), NIC(broadcast: .vlan(0)), NIC(broadcast: .vxlan(1 << 24)),
            NIC(megabitsPerSecond: 0), NIC(filterParameters: ["IP": ["10.0.0.1"]]), NIC(security: NICSecurity()),
            NIC(mac: .random(), filter: "clean-traffic", security: NICSecurity()),
        ]
        for nic in wrong { #expect(throws: LXCError.self) { try nic.check() } }
        try NIC(deviceID: 65_535, mac: .random(), security: NICSecurity()).check()
        for name in ["", "..", "a/b", "sixteen-letters-"] {
            #expect(throws: LXCError.self) { try NIC.checkDeviceName(name) }
        }
        try NIC.checkDeviceName("fifteen-letters")
    }

    @Test func missingKeysHaveTheirDefaults() throws {
        let nic = try JSONDecoder().decode(NIC.self, from: Data(#"{"bridge": "br0", "trafficType": "Vpn"}"#.utf8))
        #expect(nic == NIC(trafficType: .vpn, bridge: "br0"))
    }

    @Test(arguments: [
        #"{"mac": "01:00:5e:00:00:01"}"#, #"{"trafficType": "guest "}"#, #"{"deviceID": "0"}"#,
        #"{"broadcast": "vlan://5000"}"#, #"{"isIsolated": true}"#, #"{"security": {"rules": ["x"]}}"#,
    ])
    func wrongValuesAreRefused(_ json: String) throws {
        #expect(throws: (any Error).self) { try JSONDecoder().decode(NIC.self, from: Data(json.utf8)) }
    }

    @Test func addressesOfOurOwnAreValid() throws {
        var seen: Set<MACAddress> = []
        for number in 0..<2000 {
            for address in [MACAddress.random(), .stable(from: "guest:\(number)")] {
                #expect(try MACAddress(address.description) == address)
                #expect(address.description.hasPrefix("02:"))
                seen.insert(address)
            }
        }
        #expect(seen.count == 4000)
    }

    /// Guests keep their addresses over versions of this package.
    @Test func theAddressOfASeedNeverChanges() throws {
        #expect(MACAddress.stable(from: "i-2-3-VM:0").description == "02:04:ed:34:7e:f7")
        #expect(MACAddress.stable(from: "i-2-3-VM:0") == .stable(from: "i-2-3-VM:0"))
    }
}
