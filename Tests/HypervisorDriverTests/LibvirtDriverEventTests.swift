// SPDX-License-Identifier: Apache-2.0

import HypervisorDriver
import LXCCore
import LibvirtXML
import TestSupport
import Testing

@Suite(.limited)
struct LibvirtDriverEventTests {
    /// Events that nobody reads must not fill the memory.
    @Test func aReaderThatFallsBehindIsToldSo() async throws {
        let driver = LibvirtContainers(uri: "test:///default")
        let name = try GuestName("event-source")
        var domain = Domain(type: .test, name: name.description, os: .container(initPath: "/sbin/init"))
        domain.memory = .mebibytes(64)
        try await driver.define(domain)
        let events = try await driver.events()
        // A second reader, which keeps up, tells when all events have come: reading the first before would keep it up too.
        let others = try await driver.events()
        let witness = Task {
            for try await event in others where event.guest == name && event.kind == .undefined { return }
        }
        // Many more than fit, for the first may be told later than the second.
        for _ in 0..<3000 {
            try await driver.start(name)
            try await driver.kill(name)
        }
        try await driver.undefine(name)
        try await witness.value
        var seen = 0
        await expect(.limitExceeded) {
            for try await event in events {
                seen += 1
                // Other tests have guests on the same driver.
                if event.guest == name, event.kind == .undefined { break }
            }
        }
        #expect(seen == 4096)
        await driver.close()
    }
}
