// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCCore
import LXCHypervisor
import TestSupport
import Testing

/// The whole way, for real: archive, secondary storage, primary store, volume, libvirt, bridge, console, and back.
@Suite(.tags(.host), .host(.root, .libvirtd, .busybox), .serialized, .limited)
struct ContainerTests {
    @Test(arguments: [false, true])
    func runsFromATemplateAndLeavesNothing(privileged: Bool) async throws {
        try await TestBridge.run { bridge in
            try await TestHost.run { host in
                let template = try await host.install()
                var specification = ContainerSpecification(
                    name: try GuestName("web1"), template: template.id,
                    privilege: privileged ? .privileged : .isolated)
                specification.limits.memory = .mebibytes(128)
                specification.nics = [NIC(bridge: bridge.name)]
                specification.initProcess.environment = ["ADDRESS": bridge.guestAddress]
                let container = try await host.lxc.createContainer(specification)
                #expect(try await container.info().state == .shutOff)
                try await container.start()
                #expect(try await container.info().state == .running)
                #expect(bridge.ports.count == 1)

                let map = try await container.domain().idMap
                try await checkOwners(of: specification, map, on: host)
                try await checkConsole(
                    of: container, maps: map.map { "0 \($0.hostUser(0) ?? 0) 65536" } ?? "0 0 4294967295")
                try HostTests.run("/bin/busybox", "ping", "-c", "1", "-W", "5", bridge.guestAddress)
                try await checkStatistics(of: container)

                #expect(try await container.stop(within: .seconds(20)) == .graceful)
                #expect(try await container.info().state == .shutOff)
                #expect(bridge.ports.isEmpty)
                try await container.delete()
                #expect(try await host.lxc.containers().isEmpty)
                #expect(try await host.leftovers() == [])
            }
        }
    }

    private func checkOwners(
        of specification: ContainerSpecification, _ map: IDMap?, on host: TestHost
    ) async throws {
        let root = try await host.lxc.primary.hostPath(of: specification.volume)
        let owner = try FileManager.default.attributesOfItem(atPath: "\(root)/sbin/init")[.ownerAccountID] as? Int
        #expect(owner == map.map { Int($0.hostUser(0) ?? 0) } ?? 0)
    }

    private func checkConsole(of container: Container, maps: String) async throws {
        let console = try await container.openConsole()
        var seen = ""
        var hasAsked = false
        for try await bytes in console.output {
            seen += String(decoding: bytes, as: UTF8.self)
            if !hasAsked, seen.contains("map ") {
                hasAsked = true
                try await console.write(Array("knock knock\n".utf8))
            }
            if seen.contains("got knock knock") { break }
        }
        await console.close()
        #expect(seen.contains("hello from init"))
        #expect(
            seen.split(whereSeparator: \.isNewline).contains {
                $0.hasSuffix("map \(maps)") || $0.hasSuffix("map  \(maps)")
            })
        #expect(seen.contains("got knock knock"))
    }

    private func checkStatistics(of container: Container) async throws {
        let statistics = try await container.statistics()
        #expect(statistics.cpuTime > .zero)
        #expect(statistics.memoryLimit == .mebibytes(128))
        #expect(statistics.memoryUsed > ByteCount(0) && statistics.memoryUsed < .mebibytes(128))
        let interface = try #require(statistics.interfaces.first)
        #expect(interface.receivedBytes > ByteCount(0) && interface.sentBytes > ByteCount(0))
    }

    @Test func killsWhatDoesNotEndInTime() async throws {
        try await TestHost.run("#!/bin/busybox sh\ntrap '' TERM\nwhile true; do /bin/busybox sleep 1; done\n") { host in
            let container = try await host.started("stubborn")
            #expect(try await container.stop(within: .seconds(1)) == .forced)
            #expect(try await container.stop() == .notRunning)
        }
    }

    @Test func suspendsAndResumes() async throws {
        try await TestHost.run { host in
            let container = try await host.started("pausing")
            try await container.suspend()
            #expect(try await container.info().state == .paused)
            try await container.resume()
            #expect(try await container.info().state == .running)
        }
    }

    @Test func aVolumeRunsOnOneHostOnly() async throws {
        try await TestHost.run { host in
            let container = try await host.started("leased")
            let volume = try #require(try await container.domain().containerMetadata()?.volume)
            let other = try await host.reopened(hostName: "host-2")
            let error = await #expect(throws: LXCError.self) {
                try await other.primary.acquireLease(on: volume, for: "host-2")
            }
            #expect(error?.code == .inUse)
            #expect(error?.message.contains("host-1") == true)
            try await container.stop(within: .seconds(20))
            _ = try await other.primary.acquireLease(on: volume, for: "host-2")
            let refused = await #expect(throws: LXCError.self) { try await container.start() }
            #expect(refused?.code == .inUse)
        }
    }

    @Test func theServiceGivesBackTheVolumeOfAContainerThatEndedByItself() async throws {
        try await TestHost.run("#!/bin/busybox sh\nread x\n") { host in
            let service = Task { try await host.lxc.run() }
            let container = try await host.started("brief")
            #expect(try await host.leftovers().contains { $0.hasPrefix("leases/") })
            let console = try await container.openConsole()
            try await console.write([0x0A])
            #expect(try await eventually { try await !host.leftovers().contains { $0.hasPrefix("leases/") } })
            await console.close()
            service.cancel()
            try? await service.value
        }
    }

    @Test func aRootThatWasMadeDangerousIsNotStarted() async throws {
        try await TestHost.run { host in
            let container = try await host.started("hostile")
            let volume = try #require(try await container.domain().containerMetadata()?.volume)
            try await container.stop(within: .seconds(20))
            let root = try await host.lxc.primary.hostPath(of: volume)
            try FileManager.default.removeItem(atPath: "\(root)/proc")
            try FileManager.default.createSymbolicLink(atPath: "\(root)/proc", withDestinationPath: "/etc")
            let error = await #expect(throws: LXCError.self) { try await container.start() }
            #expect(error?.code == .unsafe)
            #expect(try await container.info().state == .shutOff)
            #expect(try await !host.leftovers().contains { $0.hasPrefix("leases/") })
        }
    }

    @Test func whatCannotBeCreatedLeavesNothing() async throws {
        try await TestHost.run { host in
            let template = try await host.install()
            let before = try await host.leftovers()
            var specification = ContainerSpecification(name: try GuestName("nowhere"), template: template.id)
            specification.nics = [NIC(bridge: "no-such-bridge")]
            let noBridge = await #expect(throws: LXCError.self) { try await host.lxc.createContainer(specification) }
            #expect(noBridge?.code == .notFound)
            specification.nics = []
            specification.template = .random()
            let noTemplate = await #expect(throws: LXCError.self) { try await host.lxc.createContainer(specification) }
            #expect(noTemplate?.code == .notFound)
            specification.template = template.id
            specification.title = "a \u{1} control character"
            let badTitle = await #expect(throws: LXCError.self) { try await host.lxc.createContainer(specification) }
            #expect(badTitle?.code == .invalidArgument)
            #expect(try await host.leftovers() == before)
            #expect(try await host.lxc.containers().isEmpty)
        }
    }

    @Test func anotherProgramFindsTheContainerAgain() async throws {
        try await TestHost.run { host in
            _ = try await host.started("lasting")
            let other = try await host.reopened(hostName: "host-1")
            let found = try await other.containers()
            #expect(found.map(\.name.description) == ["lasting"])
            let metadata = try #require(try await found[0].domain().containerMetadata())
            #expect(metadata.pool == other.primary.id)
            try await found[0].delete()
            #expect(try await host.leftovers() == [])
        }
    }
}

extension TestHost {
    /// A running container without network.
    func started(_ name: String) async throws -> Container {
        let template = try await install()
        let specification = ContainerSpecification(name: try GuestName(name), template: template.id)
        let container = try await lxc.createContainer(specification)
        try await container.start()
        return container
    }
}
