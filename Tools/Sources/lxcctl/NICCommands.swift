// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import LXCHypervisor
import LibvirtXML

struct NICCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "nic", abstract: "Network interfaces of containers that are there, running or not.",
        subcommands: [PlugNIC.self, UnplugNIC.self, SecureNIC.self, ListNICs.self])
}

/// The traffic a NIC may send and receive.
struct SecurityOptions: ParsableArguments {
    @Option(
        name: .customLong("address"),
        help: ArgumentHelp(
            "An address of the guest's: it sends and announces no others; may be repeated.", valueName: "ip"))
    var addresses: [String] = []
    @Option(
        name: .customLong("rule"),
        help: ArgumentHelp(
            "What is allowed in (I) or out (E), as I:tcp;22;22;10.0.0.0/8 or I:icmp;8;-1;0.0.0.0/0; may be repeated.",
            valueName: "rule"))
    var rules: [String] = []
    @Flag(help: "Allow no incoming traffic but answers; the same as an empty list of rules.")
    var closed = false

    /// Whether no option was given.
    var isEmpty: Bool { addresses.isEmpty && rules.isEmpty && !closed }

    func security() throws -> NICSecurity {
        NICSecurity(
            addresses: try addresses.map { try IPNetwork(parsing: $0) },
            rules: rules.isEmpty && !closed ? nil : try rules.flatMap { try SecurityRule.rules(parsing: $0) })
    }
}

struct PlugNIC: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plug", abstract: "Connects a network interface, at once where the container runs.")

    @OptionGroup var argument: ContainerArgument
    @Option(help: ArgumentHelp("Its number: 2 is eth2; by default the lowest that is free.", valueName: "n"))
    var device: Int?
    @Option(help: ArgumentHelp("The host's bridge or physical device.", valueName: "name"))
    var bridge: String?
    @Option(help: ArgumentHelp("vlan://N or vxlan://N; by default the bridge's own network.", valueName: "uri"))
    var network: String?
    @Option(help: ArgumentHelp("What it is for, which chooses the bridge where none is named.", valueName: "type"))
    var traffic = TrafficType.guest.rawValue
    @Option(help: ArgumentHelp("Its hardware address; by default one of its own.", valueName: "address"))
    var mac: String?
    @Option(help: ArgumentHelp("The largest packet in bytes; by default the bridge's.", valueName: "bytes"))
    var mtu: Int?
    @Option(help: ArgumentHelp("The most it sends and receives, in Mbit/s.", valueName: "n"))
    var rate: Int?
    @Flag(help: "It cannot reach other isolated interfaces on the same bridge.")
    var isolated = false
    @OptionGroup var security: SecurityOptions

    func run() async throws {
        let interface = try await argument.withContainer { container in
            let number = if let device { device } else { try await nextNumber(container) }
            return try await container.plugNIC(nic(number))
        }
        if argument.common.json {
            try Output.json(InterfaceReport(interface))
        } else {
            print("\(argument.name) \(interface.guestDevice ?? "?") plugged")
        }
    }

    private func nic(_ number: Int) throws -> NIC {
        guard let type = TrafficType(rawValue: traffic) else {
            throw LXCError(
                .invalidArgument,
                "--traffic takes \(TrafficType.allCases.map(\.rawValue).joined(separator: ", ")), not "
                    + "\"\(traffic.escapedForDisplay)\"")
        }
        return NIC(
            deviceID: number, mac: try mac.map { try MACAddress($0) }, trafficType: type,
            broadcast: try network.map { try BroadcastDomain(parsing: $0) } ?? .untagged, bridge: bridge, mtu: mtu,
            megabitsPerSecond: rate, isIsolated: isolated, security: security.isEmpty ? nil : try security.security())
    }

    /// The lowest number that no interface has.
    private func nextNumber(_ container: LXCHypervisor.Container) async throws -> Int {
        let taken = Set(try await container.domain().interfaces.compactMap(\.guestDevice))
        return (0...65_535).first { !taken.contains("eth\($0)") } ?? 0
    }
}

struct UnplugNIC: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unplug", abstract: "Disconnects a network interface; succeeds if there is none.")

    @OptionGroup var argument: ContainerArgument
    @Argument(help: ArgumentHelp("Its number.", valueName: "device"))
    var device: Int

    func run() async throws {
        try await argument.withContainer { try await $0.unplugNIC(device) }
        try argument.report("eth\(device) unplugged")
    }
}

struct SecureNIC: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "secure", abstract: "Changes what may be sent and received on an interface plugged with security.",
        discussion: "What is given holds in the place of what held before; without options everything is allowed that "
            + "ever is.")

    @OptionGroup var argument: ContainerArgument
    @Argument(help: ArgumentHelp("Its number.", valueName: "device"))
    var device: Int
    @OptionGroup var security: SecurityOptions

    func run() async throws {
        let security = try security.security()
        try await argument.withContainer { try await $0.setSecurity(security, ofNIC: device) }
        try argument.report("eth\(device) secured")
    }
}

struct ListNICs: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists a container's network interfaces.")

    @OptionGroup var argument: ContainerArgument

    func run() async throws {
        let reports = try await argument.withContainer { try await $0.domain().interfaces.map(InterfaceReport.init) }
        if argument.common.json { return try Output.json(reports) }
        Output.table(
            ["NAME", "ADDRESS", "NETWORK", "HOST DEVICE", "FILTER"],
            reports.map { [$0.name ?? "-", $0.mac ?? "-", $0.network, $0.hostDevice ?? "-", $0.filter ?? "-"] })
    }
}

/// The JSON of an interface.
struct InterfaceReport: Encodable {
    var name: String?
    var mac: String?
    var network: String
    var hostDevice: String?
    var mtu: Int?
    var filter: String?
    var isolated: Bool

    init(_ interface: Interface) {
        name = interface.guestDevice
        mac = interface.mac?.description
        network =
            switch interface.kind {
            case .bridge(let name): "bridge \(name)"
            case .direct(let device, let mode): "direct \(device)" + (mode.map { " \($0.rawValue)" } ?? "")
            case .network(let name): "network \(name)"
            case .ethernet: "ethernet"
            case .other(let type): type
            }
        hostDevice = interface.targetDevice
        mtu = interface.mtu
        filter = interface.filter?.filter
        isolated = interface.isPortIsolated
    }
}
