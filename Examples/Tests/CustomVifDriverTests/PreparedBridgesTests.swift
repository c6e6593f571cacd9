// SPDX-License-Identifier: Apache-2.0

import CustomVifDriver
import Foundation
import LXCCore
import LXCTesting
import LibvirtXML
import Testing
import VifDriver

@Suite struct PreparedBridgesTests {
    /// Calls `body` with the driver of a host that has the bridges of the VLANs 42 and 4094, as sysfs would list them.
    private static func withDriver(
        _ body: @Sendable (PreparedBridges) async throws -> Void
    ) async throws {
        let devices = FileManager.default.temporaryDirectory.appending(path: "prepared-bridges-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: devices) }
        for number in [42, 4094] {
            let bridge = devices.appending(path: "tenant-\(number)/bridge")
            try FileManager.default.createDirectory(at: bridge, withIntermediateDirectories: true)
        }
        try await body(PreparedBridges(prefix: "tenant-", devices: devices))
    }

    private static let conformance = VifDriverConformance(nic: NIC(broadcast: .vlan(42))) { check in
        try await withDriver { try await check($0) }
    }

    @Test(arguments: conformance.checks)
    func conforms(_ check: ConformanceCheck) async throws { try await check.run() }

    @Test func aNetworkWithoutItsBridgeIsNotFound() async throws {
        try await Self.withDriver { driver in
            let guest = try GuestName("web1")
            let interface = try await driver.plug(NIC(broadcast: .vlan(42)), of: guest)
            #expect(interface.kind == .bridge("tenant-42"))
            let error = await #expect(throws: LXCError.self) {
                try await driver.plug(NIC(broadcast: .vlan(43)), of: guest)
            }
            #expect(error?.code == .notFound)
        }
    }
}
