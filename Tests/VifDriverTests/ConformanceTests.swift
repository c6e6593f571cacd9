// SPDX-License-Identifier: Apache-2.0

import LXCCore
import LXCTesting
import LibvirtXML
import TestSupport
import Testing
import VifDriver

@Suite(.limited)
struct ConformanceTests {
    private static let inMemory = VifDriverConformance(nic: NIC()) { check in try await check(InMemoryVifDriver()) }

    @Test(arguments: inMemory.checks)
    func inMemoryDriver(_ check: ConformanceCheck) async throws { try await check.run() }

    private static let bridge = VifDriverConformance(nic: NIC(bridge: "cloudbr0")) { check in
        let host = try FakeHost()
        try host.add(bridge: "cloudbr0")
        try await check(BridgeVifDriver(devices: [:], sysfs: host.sysfs, bridgeSettings: host.bridgeSettings))
        withExtendedLifetime(host) {}
    }

    private static let direct = VifDriverConformance(nic: NIC()) { check in
        let host = try FakeHost()
        try host.add(device: "eth0")
        try await check(DirectVifDriver(device: "eth0", mode: .bridge, sysfs: host.sysfs))
        withExtendedLifetime(host) {}
    }

    @Test(arguments: bridge.checks)
    func bridgeDriver(_ check: ConformanceCheck) async throws { try await check.run() }

    @Test(arguments: direct.checks)
    func directDriver(_ check: ConformanceCheck) async throws { try await check.run() }

    @Test func missingBridgesAreNotFound() async throws {
        let driver = InMemoryVifDriver(bridges: ["br0"])
        let guest = try GuestName("box")
        await expect(.notFound) { try await driver.plug(NIC(bridge: "br1"), of: guest) }
        await driver.failNext(with: LXCError(.unavailable, "broken"))
        await #expect(throws: LXCError.self) { try await driver.plug(NIC(), of: guest) }
        #expect(await driver.plugged.isEmpty)
        let interface = try await driver.plug(NIC(), of: guest)
        #expect(await driver.plugged.map(\.interface) == [interface])
    }
}
