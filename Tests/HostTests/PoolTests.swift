// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCHypervisor
import TestSupport
import Testing

/// Real containers in two pools of one host.
@Suite(.host(.root, .libvirtd, .busybox), .serialized, .timeLimit(.minutes(15)))
struct PoolTests {
    /// The same host with a second pool.
    private func withSecondPool(
        _ host: TestHost, _ body: (LXCHypervisor, any PrimaryStore) async throws -> Void
    ) async throws {
        let path = "\(host.directory)/second"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        let second = try await SharedMountPointStore.create(at: path)
        let lxc = try LXCHypervisor(
            driver: host.lxc.drivers.containers, pools: [host.lxc.primary, second], templates: host.lxc.templates,
            hostName: "host-1", systemVMs: host.lxc.drivers.systemVMs)
        try await body(lxc, second)
    }

    private func specification(_ name: String, _ template: TemplateID, in pool: PoolID?) throws
        -> ContainerSpecification
    {
        var specification = ContainerSpecification(name: try GuestName(name), template: template)
        specification.pool = pool
        return specification
    }

    @Test func containersOfBothRunSideBySide() async throws {
        try await TestHost.run { host in
            let template = try await host.install()
            try await withSecondPool(host) { lxc, second in
                _ = try await lxc.installTemplate(TestHost.key, in: second.id)
                let first = try await lxc.startContainer(specification("first", template.id, in: nil))
                let other = try await lxc.startContainer(specification("other", template.id, in: second.id))
                for (container, root) in [(first, "primary"), (other, "second")] {
                    let domain = try await container.domain()
                    #expect(
                        domain.filesystems.first?.source
                            == .mount(
                                "\(host.directory)/\(root)/\(try #require(try domain.containerMetadata()).volume)"))
                    #expect(try await container.info().state == .running)
                }
                #expect(try await first.domain().idMap != other.domain().idMap)
                #expect(try await second.leases().map(\.use) == ["container other"])
                #expect(try await lxc.leftovers().isEmpty)

                // A program that knows the first pool alone leaves the other's container as it is.
                let error = await #expect(throws: LXCError.self) { try await host.lxc.container(other.name).delete() }
                #expect(error?.code == .invalidState && error?.message.contains("\(second.id)") == true)
                #expect(try await other.info().state == .running)
                for container in [first, other] { try await container.delete() }
                #expect(try await second.contents().volumes.isEmpty)
                #expect(try await host.leftovers() == [])
            }
        }
    }

    /// Who is in a pool that went away can be stopped, and no more.
    @Test func aPoolThatIsGoneKeepsItsContainersAlone() async throws {
        try await TestHost.run { host in
            let template = try await host.install()
            try await withSecondPool(host) { lxc, second in
                _ = try await lxc.installTemplate(TestHost.key, in: second.id)
                let other = try await lxc.startContainer(specification("other", template.id, in: second.id))
                let gone = LXCHypervisor.UnreachableStore(
                    second.id, because: LXCError(.unavailable, "the second pool is not mounted"))
                let without = try LXCHypervisor(
                    driver: lxc.drivers.containers, pools: [host.lxc.primary, gone], templates: lxc.templates,
                    hostName: "host-1")
                let lost = try await without.container(other.name)
                try await lost.stop(within: .seconds(60))
                #expect(await codeThrown { try await lost.start() } == .unavailable)
                let first = try await without.startContainer(specification("first", template.id, in: nil))
                try await first.delete()
                // It is there again.
                try await other.start()
                try await other.delete()
                #expect(try await second.leases().isEmpty)
            }
        }
    }

    /// The UUID of the configuration says which pool is missing; without it nobody knows whose containers are not there.
    @Test func aHostOpensWithoutAPoolThatIsNotThere() async throws {
        let scratch = try ScratchDirectory()
        for folder in ["there", "secondary"] {
            try FileManager.default.createDirectory(atPath: scratch[folder], withIntermediateDirectories: true)
        }
        let there = try await SharedMountPointStore.create(at: scratch["there"])
        let missing = PoolID.random()
        var configuration = LXCHypervisor.Configuration(
            pools: [.init(scratch["there"]), .init(scratch["missing"], id: missing)], secondary: scratch["secondary"])
        configuration.connection = .privateDaemon()
        try await LXCHypervisor.withHost(configuration) { host in
            #expect(host.pools.map(\.id) == [there.id, missing])
            let room = try await host.hostStatistics().pools
            #expect(room.count == 2 && room[0].capacity != nil && room[1].capacity == nil)
            let code = await codeThrown { try await host.pool(missing).contents() }
            #expect(code == .notFound)
        }
        configuration.pools[1].id = nil
        let code = await codeThrown { try await LXCHypervisor.open(configuration) }
        #expect(code == .notFound)
    }
}
