// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCCore
import LibvirtXML
import TestSupport
import Testing
import VifDriver

/// The filters that rules become, as documents.
@Suite(.limited) struct NetworkFilterTests {
    private func filter(_ security: NICSecurity) throws -> NetworkFilter {
        let nic = NIC(mac: try MACAddress("02:00:4c:3b:00:01"), security: security)
        let filter = try #require(try nic.networkFilter(of: GuestName("i-2-3-VM")))
        try validateAgainstLibvirtSchema(filter.xml(), schema: "nwfilter")
        return filter
    }

    /// The document without what all filters have alike.
    private func rules(_ filter: NetworkFilter) -> [String] {
        filter.rules.map { rule in
            let attributes = rule.match.attributes.sorted { $0.key.rawValue < $1.key.rawValue }
                .map { " \($0.key.rawValue)=\($0.value)" }.joined()
            return
                "\(rule.action) \(rule.direction) \(rule.match.isNegated ? "not " : "")\(rule.match.element.rawValue)"
                + attributes + (rule.followsConnections ? "" : " stateless")
        }
    }

    @Test func withoutAddressesAndRulesOnlyWhatIsNeverAllowed() throws {
        let found = try rules(filter(NICSecurity()))
        #expect(
            found == [
                "drop out not mac srcmacaddr=02:00:4c:3b:00:01", "drop out not arp arpsrcmacaddr=02:00:4c:3b:00:01",
                "drop out ip dstportstart=68 protocol=udp srcportstart=67",
                "drop out ipv6 dstportstart=546 protocol=udp srcportstart=547",
                "drop out ipv6 protocol=icmpv6 type=134", "drop out ipv6 protocol=icmpv6 type=137",
                "accept out mac protocolid=arp", "accept out mac protocolid=ipv4", "accept out mac protocolid=ipv6",
                "drop out mac",
            ])
    }

    @Test func addressesAreTheOnlyOnesAGuestSends() throws {
        let addresses = try ["10.1.2.3", "2001:db8::3"].map { try IPNetwork(parsing: $0) }
        let found = try rules(filter(NICSecurity(addresses: addresses)))
        #expect(
            found[6..<17] == [
                "accept out arp arpsrcipaddr=10.1.2.3", "accept out arp arpsrcipaddr=0.0.0.0", "drop out arp",
                "accept out ip dstportstart=67 protocol=udp srcipaddr=0.0.0.0 srcportstart=68",
                "accept out ip srcipaddr=10.1.2.3", "drop out ip",
                "accept out ipv6 protocol=icmpv6 srcipaddr=::", "accept out ipv6 srcipaddr=2001:db8::3",
                "accept out ipv6 srcipaddr=fe80::0:4cff:fe3b:1", "drop out ipv6", "accept out mac protocolid=arp",
            ])
    }

    @Test func rulesAreAllowedAndTheRestIsNot() throws {
        let text =
            "I:tcp;22;80;10.0.0.0/8 I:icmp;8;-1;0.0.0.0/0 I:all;0;0;2001:db8::/32 E:udp;123;123;::/0 E:50;0;0;1.2.3.4"
        let found = try rules(filter(NICSecurity(rules: try SecurityRule.rules(parsing: text))))
        let tail = found.suffix(7)
        #expect(
            Array(tail) == [
                "accept in tcp dstportend=80 dstportstart=22 srcipaddr=10.0.0.0 srcipmask=8", "accept in icmp type=8",
                "accept in all-ipv6 srcipaddr=2001:db8:: srcipmask=32",
                "accept out udp-ipv6 dstportend=123 dstportstart=123", "accept out esp dstipaddr=1.2.3.4 dstipmask=32",
                "drop both all", "drop both all-ipv6",
            ])
        #expect(found.contains("accept in udp dstportstart=68 srcportstart=67 stateless"))
        #expect(found.contains("accept both all state=ESTABLISHED,RELATED"))
        #expect(!found.contains("accept out all"))
        // Without a rule for what goes out, everything does.
        #expect(
            try rules(filter(NICSecurity(rules: []))).suffix(4).prefix(2) == ["accept out all", "accept out all-ipv6"])
    }

    @Test func theDocumentIsInOrder() throws {
        let filter = NetworkFilter(
            name: "golden", uuid: try #require(UUID(uuidString: "00000000-0000-8000-8000-000000000001")),
            rules: [
                .init(.drop, .out, .init(.arp, [.arpSourceMAC: "02:00:4c:3b:00:01"], isNegated: true)),
                .init(.accept, .in, .init(.udp, [.sourcePortStart: "67"]), followsConnections: false),
            ])
        #expect(
            try filter.xml() == """
                <filter name="golden" chain="root">
                  <uuid>00000000-0000-8000-8000-000000000001</uuid>
                  <rule action="drop" direction="out" priority="-1000">
                    <arp match="no" arpsrcmacaddr="02:00:4c:3b:00:01"/>
                  </rule>
                  <rule action="accept" direction="in" priority="-999" statematch="false">
                    <udp srcportstart="67"/>
                  </rule>
                </filter>

                """)
        try validateAgainstLibvirtSchema(filter.xml(), schema: "nwfilter")
    }

    @Test func whatCannotBeWrittenIsNamed() async throws {
        let rule = NetworkFilter.Rule(.drop, .in, .init(.ipv4, [.sourceAddress: "1.2.3.4'/><x"]))
        let fault = await failure { try NetworkFilter(name: "f", rules: [rule]).xml() }
        #expect(fault?.code == .invalidArgument && fault?.message.contains("srcipaddr") == true)
        expect(.invalidArgument) { try NetworkFilter(name: "a b").xml() }
        let many = NetworkFilter(name: "f", rules: Array(repeating: .init(.drop, .in, .init(.all)), count: 2002))
        expect(.limitExceeded) { try many.xml() }
        let gre = NIC(
            mac: .random(), security: NICSecurity(rules: try SecurityRule.rules(parsing: "I:47;0;0;0.0.0.0/0")))
        expect(.unsupported) { try gre.networkFilter(of: GuestName("a")) }
        await expect(.invalidArgument) { try NIC(security: .init()).networkFilter(of: GuestName("a")) }
    }

    @Test func aNICsFilterAlwaysHasTheSameNameAndUUID() throws {
        let first = try filter(NICSecurity())
        let second = try filter(NICSecurity(rules: []))
        #expect(first.name == second.name && first.uuid == second.uuid && first.rules != second.rules)
        let other = NIC(deviceID: 1, mac: .random(), security: NICSecurity())
        let third = try #require(try other.networkFilter(of: GuestName("i-2-3-VM")))
        #expect(third.name != first.name && third.uuid != first.uuid)
    }
}
