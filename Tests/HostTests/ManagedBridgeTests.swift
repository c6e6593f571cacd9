// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

/// Bridges made on demand, in network namespaces of the tests' own and by processes of their own.
@Suite(.tags(.host), .host(.root), .limited)
struct ManagedBridgeTests {
    @Test func aVXLANsBridgeComesWithTheFirstAndGoesWithTheLast() async throws {
        try await NetworkNamespace.run { namespace in
            let plugger = try namespace.plugger()
            let first = try await plugger.run("plug a 0 up0 vxlan://66051 Guest").words
            #expect(first[0...1] == ["ok", "brvx-66051"] && first[3] == "1450")
            #expect(try namespace.devices() == ["brvx-66051", "vxlan66051"])
            let device = try namespace.ip("-d", "link", "show", "dev", "vxlan66051")
            // CloudStack's: 66051 is 0x010203.
            #expect(device.contains("vxlan id 66051 group 239.1.2.3 dev up0") && device.contains("ttl 10"))
            #expect(device.contains("dstport 8472") && device.contains("master brvx-66051") && device.contains(",UP"))
            let bridge = try namespace.ip("-d", "link", "show", "dev", "brvx-66051")
            #expect(bridge.contains("forward_delay 0 ") && bridge.contains(",UP"))
            // A guests' network is none of the host's.
            #expect(try namespace.ip("address", "show", "dev", "brvx-66051").contains("inet") == false)

            let second = try await plugger.run("plug b 0 up0 vxlan://66051 Guest").words
            #expect(try await plugger.run("plug a 0 up0 vxlan://66051 Guest").words == first)
            #expect(try await plugger.run("unplug brvx-66051 \(first[2])") == "ok")
            #expect(try namespace.devices() == ["brvx-66051", "vxlan66051"])
            #expect(try await plugger.run("unplug brvx-66051 \(second[2])") == "ok")
            #expect(try namespace.devices() == [])
            #expect(try await plugger.run("unplug brvx-66051 \(second[2])") == "ok")
            #expect(try FileManager.default.contentsOfDirectory(atPath: namespace.directory) == [])
        }
    }

    /// A host whose clock is set between the reservation and the guest's start keeps the reservation.
    @Test func aReservationOutlivesAChangeOfTheClock() async throws {
        try await NetworkNamespace.run { namespace in
            let plugger = try namespace.plugger()
            let first = try await plugger.run("plug a 0 up0 vxlan://5 Guest").words[2]
            let second = try await plugger.run("plug b 0 up0 vxlan://5 Guest").words[2]
            // As it looks when the clock jumps forward.
            try Command.run("/usr/bin/touch", "-d", "2001-01-01", "\(namespace.directory)/brvx-5/\(first)")
            #expect(try await plugger.run("unplug brvx-5 \(second)") == "ok")
            #expect(try namespace.devices() == ["brvx-5", "vxlan5"])
            #expect(try await plugger.run("unplug brvx-5 \(first)") == "ok")
            #expect(try namespace.devices() == [])
        }
    }

    @Test func aBridgeStaysWhileAGuestIsOnIt() async throws {
        try await NetworkNamespace.run { namespace in
            let plugger = try namespace.plugger()
            let end = try await plugger.run("plug a 0 up0 vxlan://5 Guest").words[2]
            // What libvirt does when the guest starts.
            try namespace.ip("link", "add", end, "type", "veth", "peer", "name", "guest0")
            try namespace.ip("link", "set", end, "master", "brvx-5")
            #expect(try await plugger.run("unplug brvx-5 \(end)") == "ok")
            #expect(try namespace.devices().contains("brvx-5"))
            try namespace.ip("link", "delete", end)
            #expect(try await plugger.run("unplug brvx-5 \(end)") == "ok")
            #expect(try namespace.devices() == [])
        }
    }

    @Test func theControlBridgeHasCloudStacksAddress() async throws {
        try await NetworkNamespace.run { namespace in
            let plugger = try namespace.plugger()
            let answer = try await plugger.run("plug v-1-VM 0 cloud0 vlan://untagged Control").words
            #expect(answer[0...1] == ["ok", "cloud0"] && answer[3] == "-")
            #expect(try namespace.ip("address", "show", "dev", "cloud0").contains("inet 169.254.0.1/16 "))
            #expect(try await plugger.run("plug v-2-VM 0 cloud0 vlan://untagged Control").words[0] == "ok")
            #expect(try await plugger.run("unplug cloud0 \(answer[2])") == "ok")
            #expect(try namespace.devices() == ["cloud0"])
        }
    }

    @Test func whatIsSomebodyElsesIsUsedOrRefusedButNeverRemoved() async throws {
        try await NetworkNamespace.run { namespace in
            let plugger = try namespace.plugger()
            try namespace.ip("link", "add", "brvx-7", "type", "bridge")
            let foreign = try await plugger.run("plug a 0 up0 vxlan://7 Guest").words
            #expect(foreign[0...1] == ["ok", "brvx-7"])
            #expect(try await plugger.run("unplug brvx-7 \(foreign[2])") == "ok")
            #expect(try namespace.devices() == ["brvx-7"])

            try namespace.ip("link", "add", "brvx-8", "type", "veth", "peer", "name", "other0")
            #expect(try await plugger.run("plug a 0 up0 vxlan://8 Guest").hasPrefix("error alreadyExists"))
            // The right device by its name, but of another network.
            try namespace.ip(
                "link", "add", "vxlan9", "type", "vxlan", "id", "10", "group", "239.0.0.9", "dev", "up0", "dstport",
                "8472")
            #expect(try await plugger.run("plug a 0 up0 vxlan://9 Guest").hasPrefix("error alreadyExists"))
            #expect(try namespace.devices().contains("vxlan9"))
        }
    }

    @Test func whatCannotServeIsSaid() async throws {
        try await NetworkNamespace.run { namespace in
            let plugger = try namespace.plugger()
            #expect(try await plugger.run("plug a 0 no-such vxlan://5 Guest").hasPrefix("error notFound"))
            try namespace.ip("address", "flush", "dev", "up0")
            let noAddress = try await plugger.run("plug a 0 up0 vxlan://5 Guest")
            #expect(noAddress.hasPrefix("error invalidState") && noAddress.contains("no IPv4 address"))
            try namespace.ip("link", "set", "up0", "down")
            let down = try await plugger.run("plug a 0 up0 vxlan://5 Guest")
            #expect(down.hasPrefix("error invalidState") && down.contains("ip link set up0 up"))
            #expect(try namespace.devices() == [])
        }
    }

    /// Needs 802.1Q devices, which not every kernel has.
    @Test func aVLANsBridgeComesAndGoes() async throws {
        try await NetworkNamespace.run { namespace in
            let plugger = try namespace.plugger()
            let answer = try await plugger.run("plug a 0 up0 vlan://42 Guest")
            guard (try? namespace.ip("link", "add", "link", "up0", "name", "probe0", "type", "vlan", "id", "9")) != nil
            else {
                #expect(answer.hasPrefix("error unsupported"))
                #expect(try namespace.devices() == [], "nothing is left of what could not be made")
                return
            }
            try namespace.ip("link", "delete", "probe0")
            #expect(answer.words[0...1] == ["ok", "brup0-42"])
            #expect(try namespace.devices() == ["brup0-42", "up0.42"])
            let device = try namespace.ip("-d", "link", "show", "dev", "up0.42")
            #expect(device.contains("vlan protocol 802.1Q id 42") && device.contains("master brup0-42"))
            #expect(try await plugger.run("unplug brup0-42 \(answer.words[2])") == "ok")
            #expect(try namespace.devices() == [])
        }
    }

    @Test func twoProcessesNeverTakeABridgeFromEachOther() async throws {
        try await NetworkNamespace.run { namespace in
            let pluggers = try (0..<2).map { _ in try namespace.plugger() }
            for (number, plugger) in pluggers.enumerated() {
                try plugger.begin("hammer 60 guest-\(number) up0 vxlan://5")
            }
            for plugger in pluggers { #expect(await plugger.answer() == "ok") }
            #expect(try namespace.devices() == [])
        }
    }

    @Test func whatAKilledProcessLeftIsCompletedAndRemoved() async throws {
        try await NetworkNamespace.run { namespace in
            for round in 0..<12 {
                let plugger = try namespace.plugger()
                #expect(try await plugger.run("hammer 1 killed up0 vxlan://5") == "ok")
                try plugger.begin("hammer 100000 killed up0 vxlan://5")
                try await Task.sleep(for: .milliseconds(5 + 3 * round))
                plugger.kill()

                let next = try namespace.plugger()
                let answer = try await next.run("plug next 0 up0 vxlan://5 Guest").words
                #expect(answer[0...1] == ["ok", "brvx-5"])
                #expect(try namespace.devices() == ["brvx-5", "vxlan5"])
                #expect(try namespace.ip("-d", "link", "show", "dev", "vxlan5").contains("master brvx-5"))
                // The killed one's reservation is as good as any for a while; its guest's unplugging ends it.
                #expect(try await next.run("unplug brvx-5 \(answer[2])") == "ok")
                let killed = try await next.run("plug killed 0 up0 vxlan://5 Guest").words
                #expect(try await next.run("unplug brvx-5 \(killed[2])") == "ok")
                #expect(try namespace.devices() == [])
            }
        }
    }
}

extension String {
    fileprivate var words: [String] { split(separator: " ").map(String.init) }
}
