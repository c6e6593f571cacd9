// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCHypervisor

/// A container in a VLAN, behind a security group, and a second NIC plugged while it runs:
///
///     networks DIRECTORY TEMPLATE BRIDGE VLAN
///
/// DIRECTORY has the store `primary`; TEMPLATE is the UUID of a template installed there; BRIDGE is a bridge of the host
/// with a physical device, which carries the VLAN.
@main
enum Networks {
    static func main() async {
        do {
            try await run(CommandLine.arguments)
        } catch {
            // An error that leaves `main` would end the program by a trap.
            print("networks: \(error)")
            exit(EXIT_FAILURE)
        }
    }

    static func run(_ arguments: [String]) async throws {
        guard arguments.count == 5, let vlan = UInt16(arguments[4]) else {
            return print("usage: networks DIRECTORY TEMPLATE BRIDGE VLAN")
        }
        let configuration = LXCHypervisor.Configuration(
            primary: "\(arguments[1])/primary", secondary: "\(arguments[1])/secondary")
        try await LXCHypervisor.withHost(configuration) { host in
            var specification = LXCHypervisor.ContainerSpecification(
                name: try GuestName("networks-example"), template: try TemplateID(parsing: arguments[2]))
            // The bridge of the VLAN is made with its first container and removed with its last.
            var nic = NIC(broadcast: .vlan(vlan), bridge: arguments[3])
            // The container sends from this address alone; what comes in is SSH from one network, and answers.
            nic.security = NICSecurity(
                addresses: [try IPNetwork(parsing: "10.1.2.3")],
                rules: [SecurityRule(.ingress, .tcp(ports: 22...22), try IPNetwork(parsing: "10.0.0.0/8"))])
            nic.megabitsPerSecond = 100
            specification.nics = [nic]

            let container = try await host.createContainer(specification)
            do {
                try await container.start()
                try await change(container, on: arguments[3])
                try await container.stop(within: .seconds(10))
            } catch {
                try? await container.delete()
                throw error
            }
            try await container.delete()
        }
    }

    static func change(_ container: LXCHypervisor.Container, on bridge: String) async throws {
        // The new rules hold when this returns. CloudStack's text is another way to write them.
        let rules = try SecurityRule.rules(parsing: "I:tcp;22;22;10.0.0.0/8 I:tcp;443;443;0.0.0.0/0")
        try await container.setSecurity(
            NICSecurity(addresses: [try IPNetwork(parsing: "10.1.2.3")], rules: rules), ofNIC: 0)

        // eth1 is in the container and up when this returns; on the bridge itself, without a VLAN.
        let interface = try await container.plugNIC(NIC(deviceID: 1, bridge: bridge))
        print("plugged \(interface.mac.map(String.init(describing:)) ?? "a NIC")")
        try await container.unplugNIC(1)
    }
}
