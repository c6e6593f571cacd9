// SPDX-License-Identifier: Apache-2.0

import CloudStack
import Foundation
import LXCCore
import LXCHypervisor
import TestSupport
import Testing

/// Network drivers on the devices of the real host.
@Suite(.tags(.host), .host(.root, .libvirtd, .busybox), .serialized, .limited)
struct DirectVifDriverTests {
    /// Says again and again what its first interface is; ends when asked.
    private static let reporter = """
        #!/bin/busybox sh
        trap 'exit 0' TERM
        while true; do
            echo "seen: $(/bin/busybox ip -o link show dev eth0)"
            read -t 1 line
        done
        """

    @Test func aContainerOnADirectDeviceHasTheAddressOfItsDocument() async throws {
        try await TestCable.run { cable in
            try await TestHost.run(Self.reporter) { host in
                let direct = host.lxc(on: DirectVifDriver(device: cable.name, mode: .private))
                let template = try await host.install()
                var specification = ContainerSpecification(name: try GuestName("direct"), template: template.id)
                specification.nics = [NIC()]
                let container = try await direct.createContainer(specification)
                let defined = try #require(try await container.domain().interfaces.first?.mac)
                try await container.start()

                let document = try await container.domain()
                #expect(document.interfaces.map(\.kind) == [.direct(device: cable.name, mode: .private)])
                #expect(document.interfaces.map(\.mac) == [defined])
                #expect(try await line(of: container).contains("link/ether \(defined) "))
                #expect(try await container.statistics().cpuTime > .zero)
                #expect(try await container.stop(within: .seconds(20)) == .graceful)
                try await container.delete()
                #expect(try await host.leftovers() == [])
            }
            #expect(cable.devicesOnIt.isEmpty)
        }
    }

    /// The specification's example, word for word but for the device's name.
    @Test func aContainerRunsAsTheSpecificationsDirectExampleSays() async throws {
        try await TestCable.run { cable in
            try await TestHost.run(Self.reporter) { host in
                let properties = try JavaProperties(
                    parsing: Array(
                        """
                        hypervisor.type=lxc
                        local.storage.path=\(host.directory)/primary
                        libvirt.vif.driver=com.cloud.hypervisor.kvm.resource.DirectVifDriver
                        network.direct.source.mode=private
                        network.direct.device=\(cable.name)
                        """.utf8))
                var configuration = try Configuration(
                    agentProperties: properties, secondary: "\(host.directory)/secondary")
                configuration.connection = .privateDaemon()
                configuration.logger = logger
                let agent = try await LXCHypervisor.open(configuration)
                do {
                    let template = try await host.install()
                    var specification = ContainerSpecification(name: try GuestName("direct"), template: template.id)
                    specification.nics = [NIC()]
                    let container = try await agent.startContainer(specification)
                    let process = try #require(try await container.initProcess())
                    let device = try Command.run(
                        "/usr/bin/nsenter",
                        ["-t", "\(process)", "-n", "/sbin/ip", "-details", "-oneline", "link", "show", "dev", "eth0"])
                    #expect(device.contains("macvlan mode private"), "\(device)")
                    let document = try await container.domain()
                    #expect(document.interfaces.map(\.kind) == [.direct(device: cable.name, mode: .private)])
                    #expect(document.idMap == nil, "CloudStack's containers are privileged")
                    try await container.delete()
                } catch {
                    await agent.close()
                    throw error
                }
                await agent.close()
                #expect(try await host.leftovers() == [])
            }
            #expect(cable.devicesOnIt.isEmpty)
        }
    }

    /// The first whole line about eth0 on the console.
    private func line(of container: Container) async throws -> String {
        let console = try await container.openConsole()
        var text = ""
        for try await bytes in console.output {
            text += String(decoding: bytes, as: UTF8.self)
            let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).dropLast()
            if let line = lines.first(where: { $0.contains("link/ether") }) {
                await console.close()
                return String(line)
            }
        }
        await console.close()
        return text
    }

    @Test func aPortOfABridgeCarriesNoGuests() async throws {
        try await TestBridge.run { bridge in
            try await TestCable.run { cable in
                let guest = try GuestName("refused")
                let direct = DirectVifDriver(device: cable.name, mode: .bridge)
                _ = try await direct.plug(NIC(), of: guest)
                try HostTests.run("/sbin/ip", "link", "set", cable.name, "master", bridge.name)
                let port = await #expect(throws: LXCError.self) { try await direct.plug(NIC(), of: guest) }
                #expect(port?.code == .invalidArgument)
                #expect(port?.message.contains(bridge.name) == true)
            }
        }
    }

    @Test func whatIsNotThereOrNoBridgeIsRefused() async throws {
        try await TestCable.run { cable in
            let guest = try GuestName("refused")
            let missing = DirectVifDriver(device: "no-such-device", mode: .bridge)
            #expect(await codeThrown { try await missing.plug(NIC(), of: guest) } == .notFound)
            #expect(
                await codeThrown { try await BridgeVifDriver().plug(NIC(bridge: cable.name), of: guest) }
                    == .invalidArgument)
            #expect(
                await codeThrown { try await BridgeVifDriver().plug(NIC(bridge: "no-such-bridge"), of: guest) }
                    == .notFound)
        }
    }
}
