// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCCore
import TestSupport
import Testing
import VifDriver

@Suite(.limited) struct BroadcastDomainTests {
    @Test func cloudStacksURIsAreRead() throws {
        let known: [(String, BroadcastDomain)] = [
            ("vlan://untagged", .untagged), ("vlan://1", .vlan(1)), ("vlan://4094", .vlan(4094)),
            ("VLAN://42", .vlan(42)),
            ("vlan:42", .vlan(42)), ("vxlan://0", .vxlan(0)), ("vxlan://16777215", .vxlan(16_777_215)),
        ]
        for (text, domain) in known {
            #expect(try BroadcastDomain(parsing: text) == domain, "\(text)")
            #expect(try BroadcastDomain(parsing: domain.description) == domain)
        }
    }

    @Test(arguments: [
        "", "42", "vlan://", "vlan://0", "vlan://4095", "vlan://-1", "vlan://1.5", "vlan://1/", "vxlan://16777216",
        "vxlan://untagged", "vlan://\u{661}", "eth0", "vlan://1\n",
    ])
    func whatIsNoNetworkIsRefused(_ text: String) async {
        expect(.invalidArgument) { try BroadcastDomain(parsing: text) }
    }

    @Test(arguments: ["pvlan://100-i200", "vs://5", "lswitch:abc"])
    func whatBridgesCannotMakeIsUnsupported(_ text: String) async {
        expect(.unsupported) { try BroadcastDomain(parsing: text) }
    }
}
