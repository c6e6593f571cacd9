// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCCore
import TestSupport
import Testing
import VifDriver

@Suite(.limited) struct SecurityRuleTests {
    @Test func cloudStacksTextIsRead() throws {
        let any = IPNetwork.any(.v4)
        #expect(try SecurityRule(parsing: "I:tcp;22;23;0.0.0.0/0") == SecurityRule(.ingress, .tcp(ports: 22...23), any))
        #expect(try SecurityRule(parsing: "E:udp;53;53;::/0") == SecurityRule(.egress, .udp(ports: 53...53), .any(.v6)))
        #expect(
            try SecurityRule(parsing: "i:ICMP;8;-1;10.1.2.3")
                == SecurityRule(.ingress, .icmp(type: 8, code: nil), IPNetwork(parsing: "10.1.2.3")))
        #expect(try SecurityRule(parsing: "I:50;0;0;10.0.0.0/8").traffic == .other(50))
        let text = "I:tcp;22;22;10.1.0.0/16,2001:db8::/32,NEXT;E:all;0;0;0.0.0.0/0,NEXT;"
        let rules = try SecurityRule.rules(parsing: text)
        #expect(
            rules.map(\.description)
                == ["I:tcp;22;22;10.1.0.0/16", "I:tcp;22;22;2001:db8::/32", "E:all;0;0;0.0.0.0/0"])
        #expect(try SecurityRule.rules(parsing: "I:tcp;1;2;10.0.0.0/8 I:udp;3;4;10.0.0.0/8,NEXT").count == 2)
        #expect(try SecurityRule.rules(parsing: " ").isEmpty)
        for rule in rules { #expect(try SecurityRule(parsing: rule.description) == rule) }
    }

    @Test(arguments: [
        "", "tcp;1;2;10.0.0.0/8", "X:tcp;1;2;10.0.0.0/8", "I:tcp;2;1;10.0.0.0/8", "I:tcp;-1;2;10.0.0.0/8",
        "I:tcp;1;65536;10.0.0.0/8", "I:tcp;1;2;", "I:tcp;1;2", "I:gre;1;2;10.0.0.0/8", "I:256;0;0;10.0.0.0/8",
        "I:icmp;256;0;10.0.0.0/8", "I:icmp;-2;0;10.0.0.0/8", "I:tcp;1;2;10.0.0.0/33", "I:tcp;1;2;10.0.0/8",
        "I:tcp;1;2;10.0.0.1' -j ACCEPT", "I:tcp;1;2;10.0.0.0/8,NEXT;I:tcp;1;2;10.0.0.0/8",
    ])
    func whatIsNoRuleIsRefused(_ text: String) async {
        expect(.invalidArgument) { try SecurityRule(parsing: text) }
    }

    @Test func networksAreCutToTheirPrefix() throws {
        let networks = [
            ("10.1.2.3/8", "10.0.0.0/8"), ("10.1.2.3/32", "10.1.2.3"), ("10.1.2.3", "10.1.2.3"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("255.255.255.255/9", "255.128.0.0/9"), ("2001:DB8::1/32", "2001:db8::/32"), ("::1", "::1"),
            ("::/0", "::/0"),
        ]
        for (text, expected) in networks { #expect(try IPNetwork(parsing: text).description == expected) }
        #expect(try IPNetwork(parsing: "10.1.2.3").isAddress)
        #expect(try !IPNetwork(parsing: "10.1.2.3/31").isAddress)
    }

    @Test(arguments: [
        "", "10.1.2", "10.1.2.3/", "10.1.2.3/+8", "10.1.2.3/-1", "1::2::3", "10.1.2.3/129", "::/129", "a\0",
    ])
    func whatIsNoNetworkIsRefused(_ text: String) async {
        expect(.invalidArgument) { try IPNetwork(parsing: text) }
    }

    @Test func securityInJSONIsStrict() throws {
        let security = NICSecurity(
            addresses: [try IPNetwork(parsing: "10.1.2.3")],
            rules: try SecurityRule.rules(parsing: "I:tcp;22;22;0.0.0.0/0"))
        #expect(try JSONDecoder().decode(NICSecurity.self, from: JSONEncoder().encode(security)) == security)
        #expect(try JSONDecoder().decode(NICSecurity.self, from: Data("{}".utf8)) == NICSecurity())
        for json in [#"{"rule": []}"#, #"{"addresses": ["10.0.0.0/8"]}"#, #"{"rules": ["I:tcp"]}"#] {
            #expect(throws: (any Error).self) { try JSONDecoder().decode(NICSecurity.self, from: Data(json.utf8)) }
        }
    }
}
