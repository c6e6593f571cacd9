// SPDX-License-Identifier: Apache-2.0

import FileTree
import Foundation
import LXCHypervisor
import Logging

/// A host for one test: stores in a temporary directory, a private libvirtd, a busybox template; all of it goes with
/// ``remove()``.
struct TestHost: Sendable {
    let directory: String
    let archive: String
    let lxc: LXCHypervisor

    static let key = TemplateKey(account: 1, id: 10)

    /// Runs `body` on a new host and takes everything away, also when it fails.
    static func run(_ initializer: String = Self.echo, _ body: (TestHost) async throws -> Void) async throws {
        try await run(body) { directory in
            try makeRoot("\(directory)/root", initializer)
            let archive = "\(directory)/template.tar.gz"
            try HostTests.run("/bin/tar", "-czf", archive, "-C", "\(directory)/root", ".")
            return archive
        }
    }

    /// Runs `body` on a new host whose template is an archive that exists.
    static func run(archive: String, _ body: (TestHost) async throws -> Void) async throws {
        try await run(body) { _ in archive }
    }

    private static func run(
        _ body: (TestHost) async throws -> Void, template: (_ directory: String) throws -> String
    ) async throws {
        let host = try await TestHost(template)
        do {
            try await body(host)
        } catch {
            await host.remove()
            throw error
        }
        await host.remove()
    }

    private init(_ template: (_ directory: String) throws -> String) async throws {
        directory = "/var/tmp/lxc-test-\(UUID().uuidString.prefix(8))"
        for folder in ["primary", "secondary", "root"] {
            try FileManager.default.createDirectory(
                atPath: "\(directory)/\(folder)", withIntermediateDirectories: true)
        }
        archive = try template(directory)
        lxc = try await Self.open(directory, hostName: "host-1", .privateDaemon())
    }

    /// Another program's view of the same stores.
    func reopened(hostName: String, vif: any VifDriver = BridgeVifDriver()) async throws -> LXCHypervisor {
        let primary = try await SharedMountPointStore(path: "\(directory)/primary", logger: logger)
        return LXCHypervisor(
            driver: lxc.drivers.containers, primary: primary, templates: lxc.templates, vifs: VifDrivers(standard: vif),
            hostName: hostName, systemVMs: lxc.drivers.systemVMs, logger: logger)
    }

    private static func open(
        _ directory: String, hostName: String, _ connection: Configuration.Connection
    ) async throws -> LXCHypervisor {
        var configuration = Configuration(primary: "\(directory)/primary", secondary: "\(directory)/secondary")
        configuration.makesMissingPool = true
        configuration.connection = connection
        configuration.hostName = hostName
        configuration.logger = logger
        return try await LXCHypervisor.open(configuration)
    }

    /// Says who it is, then answers each line of its console; ends when asked.
    static let echo = """
        #!/bin/busybox sh
        trap 'echo asked to end; exit 0' TERM
        echo "hello from $(/bin/busybox cat /proc/1/comm), map $(/bin/busybox tr -s ' ' </proc/self/uid_map)"
        [ -n "$ADDRESS" ] && /bin/busybox ip address add $ADDRESS/24 dev eth0 && /bin/busybox ip link set eth0 up
        while true; do if read -t 60 line; then echo "got $line"; fi; done
        """

    private static func makeRoot(_ root: String, _ initializer: String) throws {
        for folder in ["bin", "dev", "etc", "proc", "run", "sbin", "sys", "tmp"] {
            try FileManager.default.createDirectory(atPath: "\(root)/\(folder)", withIntermediateDirectories: true)
        }
        try FileManager.default.copyItem(atPath: "/bin/busybox", toPath: "\(root)/bin/busybox")
        try initializer.write(toFile: "\(root)/sbin/init", atomically: true, encoding: .utf8)
        try HostTests.run("/bin/chmod", "755", "\(root)/sbin/init", "\(root)/bin/busybox")
    }

    /// The same host with another network driver.
    func lxc(on vif: any VifDriver) -> LXCHypervisor {
        LXCHypervisor(
            driver: lxc.drivers.containers, primary: lxc.primary, templates: lxc.templates,
            vifs: VifDrivers(standard: vif),
            hostName: lxc.hostName, logger: logger)
    }

    /// Registers and installs the template.
    func install() async throws -> StoredTemplate {
        let registration = TemplateRegistration(key: Self.key, name: "busybox", source: archive)
        try await lxc.registerTemplate(registration)
        return try await lxc.installTemplate(Self.key)
    }

    /// A container that runs, without network.
    func startedContainer(_ name: String = "web1", privileged: Bool = false) async throws -> Container {
        let template = try await install()
        let specification = ContainerSpecification(
            name: try GuestName(name), template: template.id,
            privilege: privileged ? .privileged : .isolated)
        let container = try await lxc.createContainer(specification)
        try await container.start()
        return container
    }

    /// What is left in the store beside templates.
    func leftovers() async throws -> [String] {
        let control = "\(directory)/primary/.lxc"
        let working = try ["staging", "trash", "leases", "locks"].flatMap { folder in
            try FileManager.default.contentsOfDirectory(atPath: "\(control)/\(folder)").map { "\(folder)/\($0)" }
        }
        let contents = try await lxc.primary.contents()
        return working + contents.volumes.map(\.id.description) + contents.disks.map(\.id.description)
    }

    private func remove() async {
        for container in (try? await lxc.containers()) ?? [] { try? await container.delete() }
        for machine in (try? await lxc.systemVMs()) ?? [] { try? await machine.delete() }
        await lxc.close()
        try? await LocalTree(directory).remove()
    }
}

/// A bridge of one test alone.
struct TestBridge: Sendable {
    let name = "lxct\(UInt32.random(in: 0 ... .max))"
    /// A network of its own among those kept for tests (RFC 2544), so that tests of two programs can run side by side.
    private let network = "198.\(Int.random(in: 18...19)).\(Int.random(in: 0...255))"

    var hostAddress: String { "\(network).1/24" }
    var guestAddress: String { address(2) }

    /// An address of the bridge's network.
    func address(_ host: Int) -> String { "\(network).\(host)" }

    /// Makes the bridge, runs `body`, and takes the bridge away, also when `body` fails.
    static func run(_ body: (TestBridge) async throws -> Void) async throws {
        let bridge = TestBridge()
        try HostTests.run("/sbin/ip", "link", "add", bridge.name, "type", "bridge")
        defer { try? HostTests.run("/sbin/ip", "link", "delete", bridge.name) }
        try HostTests.run("/sbin/ip", "address", "add", bridge.hostAddress, "dev", bridge.name)
        try HostTests.run("/sbin/ip", "link", "set", bridge.name, "up")
        try await body(bridge)
    }

    var ports: [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: "/sys/class/net/\(name)/brif")) ?? []
    }
}

/// A pair of connected devices of one test alone.
struct TestCable {
    let name = "lxcv\(UInt32.random(in: 0 ... .max))"

    /// Makes the pair, runs `body`, and takes it away, also when `body` fails.
    static func run(_ body: (TestCable) async throws -> Void) async throws {
        let cable = TestCable()
        try HostTests.run("/sbin/ip", "link", "add", cable.name, "type", "veth")
        defer { try? HostTests.run("/sbin/ip", "link", "delete", cable.name) }
        try HostTests.run("/sbin/ip", "link", "set", cable.name, "up")
        try await body(cable)
    }

    /// The devices of the host that lie on this one.
    var devicesOnIt: [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/sys/class/net/\(name)")) ?? []
        return names.filter { $0.hasPrefix("upper_") }
    }
}
