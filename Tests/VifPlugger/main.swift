// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCCore
// A process that plugs and unplugs, for tests of several at once in a network namespace of their own. Reads commands, one
// a line, and answers each with a line that begins with `ok` or `error`.
//
//     VifPlugger DIRECTORY
//     plug GUEST DEVICE LABEL BROADCAST TRAFFIC       ok BRIDGE END MTU
//     guard GUEST DEVICE BRIDGE MAC ADDRESS           the same, held to its addresses
//     unplug BRIDGE END
//     hammer COUNT GUEST LABEL BROADCAST              plugs and unplugs again and again, and looks in between
import LibvirtXML
import VifDriver

let driver = BridgeVifDriver(devices: [:], sysfs: "/sys/class/net", directory: CommandLine.arguments[1])

func plug(_ words: ArraySlice<String>) async throws -> String {
    let words = Array(words)
    let nic = NIC(
        deviceID: Int(words[1]) ?? -1, trafficType: TrafficType(rawValue: words[4]) ?? .guest,
        broadcast: try BroadcastDomain(parsing: words[3]), bridge: words[2])
    let interface = try await driver.plug(nic, of: GuestName(words[0]))
    guard case .bridge(let bridge) = interface.kind else { return "no bridge" }
    return "\(bridge) \(interface.targetDevice ?? "-") \(interface.mtu.map(String.init) ?? "-")"
}

func guarded(_ words: ArraySlice<String>) async throws -> String {
    let words = Array(words)
    let security = NICSecurity(addresses: [try IPNetwork(parsing: words[4])])
    let nic = NIC(
        deviceID: Int(words[1]) ?? -1, mac: try MACAddress(words[3]), bridge: words[2], security: security)
    return "\(words[2]) \(try await driver.plug(nic, of: GuestName(words[0])).targetDevice ?? "-")"
}

func unplug(_ bridge: String, _ end: String) async throws {
    var interface = Interface(.bridge(bridge))
    interface.targetDevice = end
    try await driver.unplug(interface)
}

func hammer(_ count: Int, _ guest: String, _ label: String, _ broadcast: String) async throws {
    for _ in 0..<count {
        let answer = try await plug([guest, "0", label, broadcast, "Guest"]).split(separator: " ").map(String.init)
        let ports = (try? FileManager.default.contentsOfDirectory(atPath: "/sys/class/net/\(answer[0])/brif")) ?? []
        guard ports.count == 1 else {
            throw LXCError(.invalidState, "the plugged bridge \(answer[0]) has the ports \(ports)")
        }
        try await unplug(answer[0], answer[1])
    }
}

func answer(_ words: [String]) async -> String {
    do {
        switch words[0] {
        case "plug": return "ok \(try await plug(words.dropFirst()))"
        case "guard": return "ok \(try await guarded(words.dropFirst()))"
        case "unplug": try await unplug(words[1], words[2])
        case "hammer": try await hammer(Int(words[1]) ?? 0, words[2], words[3], words[4])
        default: return "error usage"
        }
        return "ok"
    } catch {
        return "error \((error as? LXCError)?.code.description ?? "?") \(error)"
    }
}

while let line = readLine() {
    print(await answer(line.split(separator: " ").map(String.init)))
    fflush(nil)
}
