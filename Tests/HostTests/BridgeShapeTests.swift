// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import LXCCore
import LXCHypervisor
import TestSupport
import Testing

/// What a bridge is to the host it stays, whatever containers come to it: its hardware address and its MTU.
@Suite(.tags(.host), .host(.root, .libvirtd, .busybox), .serialized, .limited)
struct BridgeShapeTests {
    /// A bridge with an uplink of the highest address a cable can have, so that libvirt's random ones are lower.
    private func withUplink(
        mtu: Int, _ body: (TestBridge, TestHost, StoredTemplate) async throws -> Void
    ) async throws {
        try await TestBridge.run { bridge in
            try await TestCable.run { cable in
                for change in [["address", "f2:ff:ff:ff:ff:01"], ["mtu", "\(mtu)"], ["master", bridge.name]] {
                    try Command.run("/sbin/ip", ["link", "set", cable.name] + change)
                }
                try #require(hostFile("\(bridge.name)/address") == "f2:ff:ff:ff:ff:01")
                try #require(hostFile("\(bridge.name)/mtu") == "\(mtu)")
                try await TestHost.run { host in try await body(bridge, host, host.install()) }
            }
        }
    }

    private func container(_ name: String, _ nic: NIC, on host: TestHost, _ template: StoredTemplate) async throws
        -> Container
    {
        var specification = ContainerSpecification(name: try GuestName(name), template: template.id)
        specification.nics = [nic]
        return try await host.lxc.createContainer(specification)
    }

    @Test func aContainerChangesNeitherTheAddressNorTheMTUOfABridge() async throws {
        try await withUplink(mtu: 9000) { bridge, host, template in
            let container = try await container("plain", NIC(bridge: bridge.name), on: host, template)
            let changes = try LinkChanges(of: bridge.name)
            for _ in 0..<3 {
                try await container.start()
                let end = try #require(try await container.domain().interfaces.first?.targetDevice)
                #expect(try hostFile("\(end)/address").hasPrefix("fe:"))
                #expect(try hostFile("\(end)/mtu") == "9000")
                #expect(try await Inside(container).link("eth0")?.contains(" mtu 9000 ") == true)
                try await container.stop(within: .seconds(20))
            }
            let small = try await self.container("small", NIC(bridge: bridge.name, mtu: 1400), on: host, template)
            try await small.start()
            #expect(try await Inside(small).link("eth0")?.contains(" mtu 1400 ") == true)
            try await small.plugNIC(NIC(deviceID: 1, bridge: bridge.name))
            #expect(try await Inside(small).link("eth1")?.contains(" mtu 9000 ") == true)
            try await small.delete()
            // Not for a moment, which others on the network would notice.
            #expect(changes.seen() == ["f2:ff:ff:ff:ff:01 9000"])
        }
    }

    /// libvirt makes the cable anew when a container starts itself anew, and nothing of ours looks at it then.
    @Test func anotherProgramsCableChangesItNeither() async throws {
        try await withUplink(mtu: 9000) { bridge, host, template in
            _ = try await container("held", NIC(bridge: bridge.name), on: host, template)
            try await TestCable.run { cable in
                try HostTests.run("/sbin/ip", "link", "set", cable.name, "address", "02:00:00:00:00:01")
                try HostTests.run("/sbin/ip", "link", "set", cable.name, "master", bridge.name)
                #expect(try hostFile("\(bridge.name)/address") == "f2:ff:ff:ff:ff:01")
                #expect(try hostFile("\(bridge.name)/mtu") == "9000")
            }
        }
    }
}

/// What ip(8) tells of changes of one device.
private final class LinkChanges {
    private let process = Process()
    private let file: String
    private let device: String

    init(of device: String) throws {
        self.device = device
        file = NSTemporaryDirectory() + "link-changes-\(UUID().uuidString)"
        try Data().write(to: URL(filePath: file))
        process.executableURL = URL(filePath: "/sbin/ip")
        process.arguments = ["-o", "monitor", "link", "dev", device]
        process.standardOutput = try FileHandle(forWritingTo: URL(filePath: file))
        try process.run()
    }

    deinit {
        // The thread that started it may have blocked other signals.
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        try? FileManager.default.removeItem(atPath: file)
    }

    /// The addresses and MTUs it has had at every change.
    func seen() -> Set<String> {
        let text = (try? String(contentsOfFile: file, encoding: .utf8)) ?? ""
        let states = text.split(separator: "\n").compactMap { line -> String? in
            let words = line.split(separator: " ").map(String.init)
            guard let mtu = words.firstIndex(of: "mtu"), let address = words.firstIndex(of: "link/ether") else {
                return nil
            }
            return "\(words[address + 1]) \(words[mtu + 1])"
        }
        return Set(states)
    }
}
