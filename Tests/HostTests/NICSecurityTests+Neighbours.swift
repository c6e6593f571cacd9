// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import LXCHypervisor
import TestSupport
import Testing

/// Whom a guest says to be, to its neighbours on the network of IPv6.
extension NICSecurityTests {
    /// The host's entry in the neighbour table of the other container, while the secured one says it is the host.
    private func spoofing(
        _ secured: Inside, _ other: Inside, _ bridge: TestBridge, _ frames: [String: [UInt8]]
    ) async throws -> [String: Bool] {
        let host = Self.network + "1"
        try HostTests.run("/sbin/ip", "address", "replace", "\(host)/64", "dev", bridge.name, "nodad")
        try secured.ip("address", "replace", Self.network + "2/64", "dev", "eth0", "nodad")
        try other.ip("address", "replace", Self.network + "3/64", "dev", "eth0", "nodad")
        let mac = try hostFile("\(bridge.name)/address")
        var isDeceived: [String: Bool] = [:]
        for (name, frame) in frames {
            try other.ip("neigh", "flush", "all")
            #expect(await eventually { ping6(other, host) })
            try #require(try other.run("/sbin/ip", "neigh", "show", host, "dev", "eth0").contains(mac))
            try secured.send(frame)
            // What comes through comes before the answer to this.
            #expect(await eventually { ping6(secured, Self.network + "3") }, "what is allowed, after \(name)")
            isDeceived[name] = try !other.run("/sbin/ip", "neigh", "show", host, "dev", "eth0").contains(mac)
        }
        return isDeceived
    }

    private func ping6(_ inside: Inside, _ address: String) -> Bool {
        (try? inside.run("/bin/busybox", "ping", "-6", "-c", "1", "-W", "2", address)) != nil
    }

    private func advertisements(_ secured: Inside, _ other: Inside) throws -> [String: [UInt8]] {
        let lie = DiscoveryMessage.neighbour(
            from: try secured.address("eth0"), Self.network + "2", to: try other.address("eth0"), Self.network + "3",
            about: Self.network + "1")
        return [
            "plain": lie.frame(), "behind hop-by-hop options": lie.frame(behind: [0]),
            "behind destination options": lie.frame(behind: [60]),
            "behind both": lie.frame(behind: [0, 60]), "with a VLAN tag": lie.frame(isTagged: true),
            "in a fragment": lie.frame(behind: [44]), "in a fragment behind options": lie.frame(behind: [60, 44]),
        ]
    }

    @Test func aGuestAnnouncesNobodyElsesIPv6Address() async throws {
        let placeholder = NICSecurity(addresses: [try IPNetwork(parsing: "192.0.2.1")])
        try await withPair(placeholder) { container, secured, other, bridge in
            let found = try await spoofing(secured, other, bridge, try advertisements(secured, other))
            #expect(found.filter(\.value).keys.sorted() == [])
            // What finds and keeps an address goes on: looking whether it is taken, and reports of groups.
            try secured.ip("address", "delete", Self.network + "2/64", "dev", "eth0")
            try secured.ip("address", "add", Self.network + "2/64", "dev", "eth0")
            #expect(
                await eventually {
                    (try? secured.run("/sbin/ip", "-6", "address", "show", "dev", "eth0", "tentative"))?.isEmpty == true
                })
            try other.ip("neigh", "flush", "all")
            #expect(await eventually { ping6(other, Self.network + "2") })
            // Rules that change hold at once.
            try await container.setSecurity(
                NICSecurity(addresses: try ["1", "2"].map { try IPNetwork(parsing: Self.network + $0) }), ofNIC: 0)
            let allowed = try advertisements(secured, other).filter { $0.key == "plain" }
            #expect(try await spoofing(secured, other, bridge, allowed) == ["plain": true])
        }
    }

    /// The lies are such that an unguarded guest's are believed: else the test above would show nothing.
    @Test func anUnguardedGuestsLieIsBelieved() async throws {
        try await withPair(nil) { _, secured, other, bridge in
            let found = try await spoofing(secured, other, bridge, try advertisements(secured, other))
            #expect(found["plain"] == true && found["behind hop-by-hop options"] == true)
        }
    }

    /// What a receiver that believes more than Linux does must not even see: advertisements of a router, and the parts of
    /// one whose beginning does not show what it is.
    private func announcements(_ secured: Inside, _ other: Inside) throws -> [String: [[UInt8]]] {
        let router = DiscoveryMessage.router(
            from: try secured.address("eth0"), Self.network + "2", to: try other.address("eth0"), Self.network + "3")
        return [
            "plain": [router.frame()], "behind options": [router.frame(behind: [0])],
            "in a fragment": [router.frame(behind: [44])], "with a VLAN tag": [router.frame(isTagged: true)],
            "in a second fragment": router.fragments,
        ]
    }

    @Test func aGuestIsNoRouterInAnyDisguise() async throws {
        for security in [NICSecurity(), NICSecurity(addresses: [try IPNetwork(parsing: "192.0.2.1")])] {
            try await withPair(security) { _, secured, other, bridge in
                try secured.ip("address", "replace", Self.network + "2/64", "dev", "eth0", "nodad")
                try other.ip("address", "replace", Self.network + "3/64", "dev", "eth0", "nodad")
                let frames = try announcements(secured, other)
                let arrived = try await other.arrivals {
                    for frame in frames.values.joined() { try secured.send(frame) }
                    #expect(await eventually { ping6(secured, Self.network + "3") })
                }
                for (name, parts) in frames {
                    #expect(!parts.contains { frame in arrived.contains { $0.hasSuffix(frame.beyondEnds) } }, "\(name)")
                }
                // Fragments of what everybody may send pass.
                let large = ["ping", "-6", "-c", "1", "-W", "2", "-s", "4000", Self.network + "3"]
                #expect(await eventually { (try? secured.run("/bin/busybox", large)) != nil })
            }
        }
    }

    /// They are frames that a bridge passes on: else the test above would show nothing.
    @Test func anUnguardedGuestsAnnouncementsArrive() async throws {
        try await withPair(nil) { _, secured, other, _ in
            try secured.ip("address", "replace", Self.network + "2/64", "dev", "eth0", "nodad")
            try other.ip("address", "replace", Self.network + "3/64", "dev", "eth0", "nodad")
            let frames = try announcements(secured, other)
            let arrived = try await other.arrivals {
                for frame in frames.values.joined() { try secured.send(frame) }
                #expect(await eventually { ping6(secured, Self.network + "3") })
            }
            for (name, parts) in frames {
                for frame in parts { #expect(arrived.contains { $0.hasSuffix(frame.beyondEnds) }, "\(name)") }
            }
        }
    }
}
