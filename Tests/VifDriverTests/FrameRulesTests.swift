// SPDX-License-Identifier: Apache-2.0

import LXCCore
import LibvirtXML
import TestSupport
import Testing

@testable import VifDriver

/// The commands nft is given; what they do to frames, `NICSecurityTests` shows.
@Suite(.limited) struct FrameRulesTests {
    private func rules(_ addresses: [String]) throws -> FrameRules {
        let security = NICSecurity(addresses: try addresses.map { try IPNetwork(parsing: $0) })
        return try FrameRules(port: "lx0123456789a", mac: MACAddress("02:00:4c:3b:00:01"), security: security)
    }

    @Test func aGuestAnnouncesItsAddressesAlone() throws {
        let text = try rules(["10.1.2.3", "2001:db8::3"]).installation
        let line = "add rule bridge lxc_hypervisor lx0123456789a "
        #expect(
            text.contains(
                line + "icmpv6 type 136 @th,64,128 != { 0x20010db8000000000000000000000003, "
                    + "0xfe800000000000000000" + "4cfffe3b0001 } drop\n"))
        #expect(text.contains(line + "ip6 saddr != { ::, 2001:db8::3, fe80::4cff:fe3b:1 } drop\n"))
        #expect(text.contains(line + "ether saddr != 02:00:4c:3b:00:01 drop\n"))
        #expect(text.contains("@th,208,48 != 0x2004c3b0001 drop\n"))
        #expect(text.hasSuffix("add element bridge lxc_hypervisor ports { \"lx0123456789a\" : jump lx0123456789a }\n"))
    }

    @Test func withoutAddressesTheyAreLeftToTheGuest() throws {
        let text = try rules([]).installation
        #expect(!text.contains("@th,64,128") && !text.contains("ip6 saddr"))
        #expect(text.contains("ether saddr") && text.contains("icmpv6 type { 134, 137 } drop"))
        // With addresses of the other family alone the guest has the one it gives itself.
        #expect(try rules(["10.1.2.3"]).installation.contains("ip6 saddr != { ::, fe80::4cff:fe3b:1 } drop\n"))
    }
}
