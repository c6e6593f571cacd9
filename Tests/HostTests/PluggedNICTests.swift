// SPDX-License-Identifier: Apache-2.0

import Foundation
import HypervisorDriver
import LXCCore
import LXCHypervisor
import TestSupport
import Testing

/// NICs that come and go with containers that are there already, for real.
@Suite(.tags(.host), .host(.root, .libvirtd, .busybox), .serialized, .limited)
struct PluggedNICTests {
    @Test func aNICComesAndGoesWhileTheContainerRuns() async throws {
        try await TestBridge.run { bridge in
            try await TestHost.run { host in
                let container = try await host.started("plugged")
                let inside = try await Inside(container)
                #expect(try inside.link("eth2") == nil)

                let nic = NIC(deviceID: 2, bridge: bridge.name, mtu: 1400, isIsolated: true)
                let interface = try await container.plugNIC(nic)
                let end = try #require(interface.targetDevice)
                #expect(bridge.ports == [end])
                #expect(try hostFile("\(end)/brport/isolated") == "1")
                // What is set inside changes nothing on the host.
                #expect(try hostFile("\(end)/mtu") == "1500")
                #expect(try hostFile("\(end)/address").hasPrefix("fe:"))
                let link = try #require(try inside.link("eth2"))
                #expect(link.contains(",UP") && link.contains(" mtu 1400 "))
                let mac = try #require(interface.mac)
                #expect(link.contains("link/ether \(mac) "))
                #expect(try inside.devices() == ["eth2", "lo"])
                try inside.ip("address", "add", "\(bridge.guestAddress)/24", "dev", "eth2")
                try HostTests.run("/bin/busybox", "ping", "-c", "1", "-W", "10", bridge.guestAddress)

                // Once more is no error and changes nothing.
                #expect(try await container.plugNIC(nic) == interface)
                #expect(try await container.domain().interfaces.count == 1)
                #expect(try inside.devices() == ["eth2", "lo"])
                let other = NIC(deviceID: 2, mac: .random(), bridge: bridge.name)
                #expect(await codeThrown { try await container.plugNIC(other) } == .alreadyExists)

                // Its definition has it too.
                try await container.stop(within: .seconds(20))
                #expect(bridge.ports.isEmpty)
                try await container.start()
                let again = try await Inside(container)
                let started = try #require(try again.link("eth2"))
                #expect(started.contains(",UP") && started.contains(" mtu 1400 "))

                for _ in 0..<2 { try await container.unplugNIC(2) }
                #expect(bridge.ports.isEmpty)
                #expect(try again.devices() == ["lo"])
                #expect(try await container.domain().interfaces.isEmpty)
                #expect(try await container.domain().containerMetadata()?.networks.isEmpty == true)
            }
        }
    }

    /// A device that is there is compared, and never touched.
    @Test func whatIsThereIsNeitherMovedNorRenamed() async throws {
        try await TestBridge.run { bridge in
            try await TestBridge.run { other in
                try await TestHost.run { host in
                    let container = try await host.started("compared")
                    let interface = try await container.plugNIC(NIC(bridge: bridge.name))
                    let inside = try await Inside(container)
                    let link = try inside.link("eth0")
                    let moved = NIC(bridge: other.name)
                    #expect(await codeThrown { try await container.plugNIC(moved) } == .alreadyExists)
                    let renamed = NIC(deviceID: 5, mac: interface.mac, bridge: other.name)
                    #expect(await codeThrown { try await container.plugNIC(renamed) } == .alreadyExists)
                    // The driver itself refuses too: nobody else may have looked.
                    var attached = interface
                    attached.guestDevice = "eth5"
                    let driver = try #require(host.lxc.drivers.containers as? any GuestInterfaces)
                    let code = await codeThrown { [attached] in
                        try await driver.attach(attached, to: container.name)
                    }
                    #expect(code == .alreadyExists)
                    #expect(try inside.link("eth0") == link && inside.devices() == ["eth0", "lo"])
                    #expect(bridge.ports == [interface.targetDevice ?? "none"] && other.ports.isEmpty)
                    #expect(try await container.domain().interfaces == [interface])

                    // What the container itself calls its device is its own affair.
                    try inside.ip("link", "set", "eth0", "down")
                    try inside.ip("link", "set", "eth0", "name", "lan")
                    #expect(try await container.plugNIC(NIC(bridge: bridge.name)) == interface)
                    #expect(try inside.devices() == ["lan", "lo"])
                }
            }
        }
    }

    @Test func aNICOfAStoppedContainerComesWithItsStart() async throws {
        try await TestBridge.run { bridge in
            try await TestHost.run { host in
                let container = try await host.started("stopped")
                try await container.stop(within: .seconds(20))
                try await container.plugNIC(NIC(deviceID: 1, bridge: bridge.name))
                try await container.plugNIC(NIC(deviceID: 0, bridge: bridge.name))
                try await container.start()
                let inside = try await Inside(container)
                #expect(try inside.devices() == ["eth0", "eth1", "lo"])
                #expect(try inside.link("eth0")?.contains(",UP") == true)
                try await container.stop(within: .seconds(20))
                try await container.unplugNIC(0)
                try await container.start()
                #expect(try await Inside(container).devices() == ["eth1", "lo"])
            }
        }
    }

    @Test func aNameTheContainerUsesItselfIsNotTaken() async throws {
        try await TestBridge.run { bridge in
            try await TestHost.run { host in
                let container = try await host.started("taken")
                let inside = try await Inside(container)
                try inside.ip("link", "add", "eth5", "type", "bridge")
                let nic = NIC(deviceID: 5, bridge: bridge.name)
                #expect(await codeThrown { try await container.plugNIC(nic) } == .alreadyExists)
                #expect(bridge.ports.isEmpty)
                #expect(try inside.devices() == ["eth5", "lo"])
                #expect(try await container.domain().interfaces.isEmpty)
                try await container.plugNIC(NIC(deviceID: 6, bridge: bridge.name))
                #expect(try inside.devices() == ["eth5", "eth6", "lo"])
            }
        }
    }

    /// A program killed between the two leaves the device in the container, nameless and down; the next plug finishes it.
    @Test func whatWasAttachedAndNotSettledIsSettled() async throws {
        try await TestBridge.run { bridge in
            try await TestHost.run { host in
                let container = try await host.started("half")
                let inside = try await Inside(container)
                let nic = NIC(deviceID: 0, mac: .random(), bridge: bridge.name)
                try await container.plugNIC(nic)
                try inside.ip("link", "set", "eth0", "down")
                try inside.ip("link", "set", "eth0", "name", "vnet77")
                try await container.plugNIC(nic)
                #expect(try inside.devices() == ["eth0", "lo"])
                #expect(try inside.link("eth0")?.contains(",UP") == true)
            }
        }
    }

    @Test func aDirectNICIsPluggedAndGoesWithTheContainersEnd() async throws {
        try await TestCable.run { cable in
            try await TestHost.run { host in
                let direct = host.lxc(on: DirectVifDriver(device: cable.name, mode: .private))
                let container = try await direct.container(host.started("direct-plug").name)
                try await container.plugNIC(NIC(deviceID: 0, mtu: 1300))
                let inside = try await Inside(container)
                let link = try #require(try inside.link("eth0"))
                #expect(link.contains(",UP") && link.contains(" mtu 1300 "))
                // libvirt cannot, and says nothing of use.
                let refused = await #expect(throws: LXCError.self) { try await container.unplugNIC(0) }
                #expect(refused?.code == .unsupported && refused?.message.contains("stop direct-plug") == true)
                try await container.stop(within: .seconds(20))
                try await container.unplugNIC(0)
                #expect(try await container.domain().interfaces.isEmpty)
            }
            #expect(cable.devicesOnIt.isEmpty)
        }
    }

    @Test func aVXLANsBridgeLivesAsLongAsItsContainersRun() async throws {
        try await TestCable.run { cable in
            try HostTests.run("/sbin/ip", "address", "add", "198.18.255.1/30", "dev", cable.name)
            try await TestHost.run { host in
                let id = UInt32.random(in: 1 << 20..<1 << 24)
                let overlay = host.lxc(on: BridgeVifDriver(devices: [.guest: cable.name]))
                let template = try await host.install()
                var specification = ContainerSpecification(name: try GuestName("overlay"), template: template.id)
                specification.nics = [NIC(broadcast: .vxlan(id))]
                let container = try await overlay.createContainer(specification)
                try await container.start()
                #expect(try hostFile("brvx-\(id)/brif/vxlan\(id)/port_no").isEmpty == false)
                #expect(try await Inside(container).link("eth0")?.contains(" mtu 1450 ") == true)
                try await container.stop(within: .seconds(20))
                #expect((try? hostFile("brvx-\(id)/mtu")) == nil && (try? hostFile("vxlan\(id)/mtu")) == nil)

                // The network is made again for the next start, also by another program.
                let other = try await host.reopened(
                    hostName: "host-1", vif: BridgeVifDriver(devices: [.guest: cable.name]))
                try await other.container(container.name).start()
                #expect(try hostFile("brvx-\(id)/mtu") == "1450")
                try await container.plugNIC(NIC(deviceID: 1, broadcast: .vxlan(id - 1)))
                #expect(try await Inside(container).devices() == ["eth0", "eth1", "lo"])
                try await container.unplugNIC(1)
                #expect((try? hostFile("brvx-\(id - 1)/mtu")) == nil)
                try await container.delete()
                #expect((try? hostFile("brvx-\(id)/mtu")) == nil)
            }
        }
    }
}

/// The network of a running container, looked at and changed from outside.
struct Inside {
    private let pid: String

    init(_ container: Container) async throws {
        let controller = try #require(try await container.info().id)
        pid = try #require(
            RunningProcess.tree(controller).map(\.pid).first { pid in
                pid != controller && !isSame("/proc/\(pid)/ns/net", "/proc/self/ns/net")
            }
        ).description
    }

    /// A thread of a pool may block signals, which what it starts inherits: busybox ends its waiting by SIGALRM.
    private var entering: [String] { ["-t", pid, "-n", "/usr/bin/env", "--default-signal=ALRM,TERM"] }

    /// Runs a program of the host in the container's network.
    @discardableResult
    func run(_ program: String, _ arguments: String...) throws -> String { try run(program, arguments) }

    @discardableResult
    func run(_ program: String, _ arguments: [String]) throws -> String {
        try Command.run("/usr/bin/nsenter", entering + [program] + arguments)
    }

    /// Starts a program that runs until it is ended.
    func start(_ program: String, _ arguments: String...) throws -> Process {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/nsenter")
        process.arguments = entering + [program] + arguments
        process.standardError = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        return process
    }

    func ip(_ arguments: String...) throws { try run("/sbin/ip", arguments) }

    /// What ip(8) says of a device on one line.
    func link(_ name: String) throws -> String? { try? run("/sbin/ip", "-o", "link", "show", "dev", name) }

    /// The devices by name, without those some kernels put into every namespace.
    func devices() throws -> [String] {
        let lines = try run("/sbin/ip", "-br", "link").split(separator: "\n")
        return lines.compactMap { $0.split(whereSeparator: { $0 == " " || $0 == "@" }).first.map(String.init) }
            .filter { !NetworkNamespace.automatic.contains($0) }.sorted()
    }
}

private func isSame(_ first: String, _ second: String) -> Bool {
    let link = { try? FileManager.default.destinationOfSymbolicLink(atPath: $0) }
    return link(first) == link(second)
}

/// A file of sysfs about the host's network devices, without its line feed.
func hostFile(_ path: String) throws -> String {
    try String(contentsOfFile: "/sys/class/net/\(path)", encoding: .utf8).trimmingCharacters(in: .newlines)
}
