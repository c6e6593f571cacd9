// SPDX-License-Identifier: Apache-2.0

import LXCHypervisor
import LXCTesting
import LibvirtXML
import TestSupport
import Testing

/// The rules of `HypervisorDriver`, kept by libvirt's LXC driver with real containers.
@Suite(.tags(.host), .host(.root, .libvirtd, .busybox), .serialized, .limited)
struct LibvirtContainersConformanceTests {
    /// Nothing is made of a suite that is only asked for its rules.
    private static let rules = conformance(root: "/nowhere", uri: "lxc:///").checks.map(\.rule)

    @Test(arguments: rules)
    func containersKeep(rule: String) async throws {
        let container = try BusyboxContainer("")
        let daemon = try await PrivateLibvirtd.start(logger: logger)
        let conformance = Self.conformance(root: container.root, uri: daemon.uri(for: .lxc))
        let result: Result<Void, any Error>
        do {
            try await #require(conformance.checks.first { $0.rule == rule }).run()
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await daemon.stop()
        withExtendedLifetime(container) {}
        try result.get()
    }

    @Test func aContainerCanBeAskedToEndAtOnce() async throws {
        let container = try BusyboxContainer("")
        let daemon = try await PrivateLibvirtd.start(logger: logger)
        let driver = LibvirtContainers(uri: daemon.uri(for: .lxc), logger: logger)
        let name = try GuestName(container.name)
        try await driver.define(Self.domain(named: name, root: container.root))
        for _ in 0..<20 {
            try await driver.start(name)
            await #expect(throws: Never.self) { try await driver.shutdown(name) }
            try? await driver.kill(name)
        }
        await driver.close()
        await daemon.stop()
        #expect(controlGroups(of: container.name).isEmpty)
    }

    private static func conformance(root: String, uri: String) -> HypervisorDriverConformance {
        HypervisorDriverConformance(makeDomain: { domain(named: $0, root: root) }) { check in
            let driver = LibvirtContainers(uri: uri, logger: logger)
            do {
                try await check(driver)
                await driver.close()
            } catch {
                await driver.close()
                throw error
            }
        }
    }

    /// A container that runs until it is asked to end.
    private static func domain(named name: GuestName, root: String) -> Domain {
        let script = "trap 'exit 0' TERM; while true; do read -t 60 line; done"
        let os = OperatingSystem.container(initPath: "/bin/busybox", arguments: ["sh", "-c", script])
        var domain = Domain(type: .lxc, name: name.description, os: os)
        domain.memory = .mebibytes(64)
        domain.virtualCPUs = VirtualCPUs(count: 1)
        domain.features.privateNetwork = true
        domain.filesystems = [Filesystem(.mount(root), target: "/")]
        domain.consoles = [CharacterDevice(targetType: "lxc", port: 0)]
        return domain
    }
}
