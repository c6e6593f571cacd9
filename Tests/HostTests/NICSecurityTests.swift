// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import LXCCore
import LXCHypervisor
import TestSupport
import Testing

/// Rules enforced for real, between containers on one bridge.
@Suite(.tags(.host), .host(.root, .libvirtd, .busybox, .packetFilter), .serialized, .limited)
struct NICSecurityTests {
    /// Two containers with addresses; `body` gets the secured one and the other.
    func withPair(
        _ security: NICSecurity?, _ body: (Container, Inside, Inside, TestBridge) async throws -> Void
    ) async throws {
        try await TestBridge.run { bridge in
            try await TestHost.run { host in
                let template = try await host.install()
                var insides: [Inside] = []
                var containers: [Container] = []
                // Names of this run alone: filters are named by guests, and a run that was killed may have left some.
                let run = UInt32.random(in: 0 ... .max)
                for (number, name) in ["secured-\(run)", "other-\(run)"].enumerated() {
                    var specification = ContainerSpecification(name: try GuestName(name), template: template.id)
                    var nic = NIC(bridge: bridge.name)
                    if number == 0, var security {
                        if !security.addresses.isEmpty {
                            security.addresses = try [bridge.address(2), Self.network + "2"].map {
                                try IPNetwork(parsing: $0)
                            }
                        }
                        nic.security = security
                    }
                    specification.nics = [nic]
                    let container = try await host.lxc.createContainer(specification)
                    try await container.start()
                    let inside = try await Inside(container)
                    try inside.ip("address", "add", "\(bridge.address(number + 2))/24", "dev", "eth0")
                    containers.append(container)
                    insides.append(inside)
                }
                try await body(containers[0], insides[0], insides[1], bridge)
                let end = try #require(try await containers[0].domain().interfaces.first?.targetDevice)
                for container in containers { try await container.delete() }
                #expect(try !Command.run("/usr/sbin/ebtables", ["-t", "nat", "-L"]).contains(end))
                #expect(try !Command.run("/usr/sbin/iptables-save", []).contains(end))
                #expect(Self.filterFiles(end).isEmpty)
                #expect(try !Command.run("/usr/sbin/nft", ["list", "ruleset"]).contains(end))
                #expect(!FileManager.default.fileExists(atPath: "\(Self.marks)/\(end)"))
            }
        }
    }

    /// The IPv6 network of the pair.
    static let network = "2001:db8:77::"
    /// Where it is kept which ports have rules in the kernel.
    private static let marks = "/run/lxc-hypervisor/networks/ports-with-frame-rules"

    /// Where private daemons keep their filters.
    private static func filterFiles(_ end: String) -> [String] {
        let root = "/run/lxc-hypervisor"
        let daemons = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
        return daemons.map { "\(root)/\($0)/etc/nwfilter/lxc-hypervisor-\(end).xml" }
            .filter { FileManager.default.fileExists(atPath: $0) }
    }

    private func answers(_ client: Inside, _ address: String, _ port: Int, within seconds: Int = 2) -> Bool {
        (try? client.run("/bin/busybox", "nc", "-w", "\(seconds)", address, "\(port)", "-e", "/bin/true")) != nil
    }

    private func listening(_ inside: Inside, _ ports: Int...) throws -> [Process] {
        try ports.map { try inside.start("/bin/busybox", "nc", "-ll", "-p", "\($0)", "-e", "/bin/true") }
    }

    private func end(_ processes: [Process]) {
        for process in processes {
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }
    }

    @Test func onlyWhatIsAllowedComesInAndTheRulesChangeAtOnce() async throws {
        let rules = try SecurityRule.rules(parsing: "I:tcp;80;80;0.0.0.0/0")
        try await withPair(NICSecurity(rules: rules)) { container, secured, other, bridge in
            let servers = try listening(secured, 80, 81) + listening(other, 90)
            defer { end(servers) }
            #expect(await eventually { answers(other, bridge.address(2), 80) }, "an allowed port")
            #expect(!answers(other, bridge.address(2), 81), "a port that is not")
            #expect(await eventually { answers(secured, bridge.address(3), 90) }, "everything goes out")
            #expect((try? other.run("/bin/busybox", "ping", "-c", "1", "-W", "2", bridge.address(2))) == nil)

            let changed = try SecurityRule.rules(
                parsing:
                    "I:tcp;81;81;0.0.0.0/0 I:icmp;8;0;\(bridge.address(3))/32 E:tcp;1;2;0.0.0.0/0")
            try await container.setSecurity(NICSecurity(rules: changed), ofNIC: 0)
            #expect(await eventually { answers(other, bridge.address(2), 81) }, "a port allowed now")
            #expect(!answers(other, bridge.address(2), 80), "a port not allowed any more")
            #expect(!answers(secured, bridge.address(3), 90), "what goes out is now ruled too")
            #expect(
                await eventually {
                    (try? other.run("/bin/busybox", "ping", "-c", "1", "-W", "2", bridge.address(2))) != nil
                })
        }
    }

    @Test func aGuestSendsUnderItsOwnAddressesAlone() async throws {
        let placeholder = NICSecurity(addresses: [try IPNetwork(parsing: "192.0.2.1")])
        try await withPair(placeholder) { container, secured, other, bridge in
            let ping = { (inside: Inside, from: String, to: String) in
                (try? inside.run("/bin/busybox", "ping", "-c", "1", "-W", "2", "-I", from, to)) != nil
            }
            #expect(await eventually { ping(secured, bridge.address(2), bridge.address(3)) })
            try secured.ip("address", "add", "\(bridge.address(9))/24", "dev", "eth0")
            #expect(!ping(secured, bridge.address(9), bridge.address(3)), "another IPv4 address")
            // ARP says nothing of it either: nobody learns where it is.
            try other.ip("neigh", "flush", "all")
            #expect(!ping(other, bridge.address(3), bridge.address(9)))

            try secured.ip("address", "add", "2001:db8::9/64", "dev", "eth0", "nodad")
            try other.ip("address", "add", "2001:db8::3/64", "dev", "eth0", "nodad")
            #expect(
                (try? secured.run("/bin/busybox", "ping", "-c", "1", "-W", "2", "-I", "2001:db8::9", "2001:db8::3"))
                    == nil)

            // Asked before, so that the answer to ARP is not what fails.
            #expect(ping(secured, bridge.address(2), bridge.address(3)))
            try secured.ip("link", "set", "eth0", "address", "02:00:00:00:00:99")
            #expect(!ping(secured, bridge.address(2), bridge.address(3)), "another hardware address")
            _ = container
        }
    }

    @Test func withoutSecurityEverythingPasses() async throws {
        try await withPair(nil) { container, plain, other, bridge in
            try plain.ip("link", "set", "eth0", "down")
            try plain.ip("link", "set", "eth0", "address", "02:00:00:00:00:99")
            try plain.ip("link", "set", "eth0", "up")
            #expect(
                await eventually {
                    (try? other.run("/bin/busybox", "ping", "-c", "1", "-W", "2", bridge.address(2))) != nil
                })
            try plain.ip("address", "add", "2001:db8::9/64", "dev", "eth0", "nodad")
            try other.ip("address", "add", "2001:db8::3/64", "dev", "eth0", "nodad")
            let ping6 = ["ping", "-c", "1", "-W", "2", "-I", "2001:db8::9", "2001:db8::3"]
            #expect(await eventually { (try? plain.run("/bin/busybox", ping6)) != nil })
            let late = await codeThrown { try await container.setSecurity(NICSecurity(), ofNIC: 0) }
            #expect(late == .invalidState)
            #expect(await codeThrown { try await container.setSecurity(NICSecurity(), ofNIC: 5) } == .notFound)
        }
    }

    @Test func aPluggedNICIsSecuredFromItsFirstPacket() async throws {
        try await withPair(nil) { container, plain, other, bridge in
            try await container.unplugNIC(0)
            let nic = NIC(bridge: bridge.name, security: NICSecurity(rules: []))
            try await container.plugNIC(nic)
            try plain.ip("address", "add", "\(bridge.address(2))/24", "dev", "eth0")
            let servers = try listening(plain, 80) + listening(other, 90)
            defer { end(servers) }
            #expect(await eventually { answers(plain, bridge.address(3), 90) })
            #expect(!answers(other, bridge.address(2), 80))
        }
    }

    // MARK: Whether the kernel enforces

    /// Every way to a running guarded NIC asks, not the creation alone.
    @Test func rulesThatTheKernelDoesNotApplyAreRefusedEverywhere() async throws {
        let setting = "/proc/sys/net/bridge/bridge-nf-call-iptables"
        try await withPair(NICSecurity(rules: [])) { container, _, _, bridge in
            let rules = NICSecurity(rules: try SecurityRule.rules(parsing: "I:tcp;80;80;0.0.0.0/0"))
            try "0".write(toFile: setting, atomically: false, encoding: .utf8)
            defer { try? "1".write(toFile: setting, atomically: false, encoding: .utf8) }
            #expect(await codeThrown { try await container.setSecurity(rules, ofNIC: 0) } == .unsupported)
            let plugged = NIC(deviceID: 1, bridge: bridge.name, security: rules)
            #expect(await codeThrown { try await container.plugNIC(plugged) } == .unsupported)
            #expect(await codeThrown { try await container.reboot(within: .zero) } == .unsupported)
            #expect(try await container.info().state == .shutOff)
            #expect(await codeThrown { try await container.start() } == .unsupported)
            try "1".write(toFile: setting, atomically: false, encoding: .utf8)
            try await container.start()
        }
    }

    // MARK: What is left behind

    /// A program that was killed leaves rules of a port; the next port of that name is another's.
    @Test func rulesOfAKilledProgramDoNotHoldForTheNextPortOfTheName() async throws {
        try await NetworkNamespace.run { namespace in
            let first = try namespace.plugger()
            try namespace.ip("link", "add", "br0", "type", "bridge")
            let answer = try await first.run("guard a 0 br0 02:00:4c:3b:00:01 2001:db8::1")
            let end = try #require(answer.split(separator: " ").last.map(String.init))
            let rules = {
                try Command.run("/sbin/ip", "netns", "exec", namespace.name, "/usr/sbin/nft", "list", "ruleset")
            }
            #expect(try rules().contains("jump \(end)"))
            first.kill()
            let next = try namespace.plugger()
            #expect(try await next.run("plug a 0 br0 vlan://untagged Guest").hasPrefix("ok br0 \(end)"))
            #expect(try !rules().contains(end))

            // As long as the port is there, it is a running guest's, and nobody takes its rules away or plugs another.
            #expect(try await next.run("guard a 0 br0 02:00:4c:3b:00:01 2001:db8::1").hasPrefix("ok"))
            try namespace.ip("link", "add", end, "type", "veth", "peer", "name", "guest0")
            #expect(try await next.run("plug a 0 br0 vlan://untagged Guest").hasPrefix("error alreadyExists"))
            #expect(try await next.run("unplug br0 \(end)") == "ok")
            #expect(try rules().contains("jump \(end)"))
            try namespace.ip("link", "delete", end)
            #expect(try await next.run("unplug br0 \(end)") == "ok")
            #expect(try !rules().contains(end))
        }
    }
}
