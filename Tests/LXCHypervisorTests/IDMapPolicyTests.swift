// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCTesting
import Logging
import TestSupport
import Testing

@testable import LXCHypervisor

/// Host ids are given to one container only.
@Suite(.limited) struct IDMapPolicyTests {
    private func ranges(_ users: String, _ groups: String? = nil) throws -> [Range<UInt32>] {
        try IDMapPolicy.available(
            users: IDMapPolicy.entries(users), groups: IDMapPolicy.entries(groups ?? users))
    }

    @Test func withoutRootsRangeTheStandardOneIsGivenButForOthers() throws {
        #expect(try ranges("") == [IDMapPolicy.standardRange])
        #expect(try ranges("alice:100000:65536\n") == [165_536..<655_460_000])
        #expect(try ranges("alice:200000:10\n# comment\nbad:1\n") == [100_000..<200_000, 200_010..<655_460_000])
    }

    @Test func rootsRangesAreRespected() throws {
        #expect(try ranges("root:1000000:65536\nalice:100000:65536\n") == [1_000_000..<1_065_536])
        #expect(try ranges("0:1000000:200000\n", "root:1100000:200000\n") == [1_100_000..<1_200_000])
        let error = #expect(throws: LXCError.self) { try ranges("root:1000000:10\n", "root:2000000:10\n") }
        #expect(error?.code == .invalidArgument)
    }

    @Test func theFirstFreeRangeIsGiven() {
        let policy = IDMapPolicy()
        let available: [Range<UInt32>] = [100_000..<400_000]
        #expect(policy.first(in: available, avoiding: []) == 100_000..<165_536)
        #expect(policy.first(in: available, avoiding: [100_000..<165_536]) == 165_536..<231_072)
        #expect(policy.first(in: available, avoiding: [165_536..<231_072]) == 100_000..<165_536)
        #expect(policy.first(in: available, avoiding: [110_000..<110_001]) == 110_001..<175_537)
        #expect(policy.first(in: available, avoiding: [100_000..<300_000, 50..<100_001]) == 300_000..<365_536)
        #expect(policy.first(in: available, avoiding: [200_000..<350_000]) == 100_000..<165_536)
        #expect(policy.first(in: available, avoiding: [120_000..<390_000]) == nil)
        #expect(policy.first(in: [0..<10, 100_000..<165_536], avoiding: []) == 100_000..<165_536)
    }

    private let driver = InMemoryHypervisorDriver()
    private let primary = InMemoryPrimaryStore()
    private let templates = InMemoryTemplateStore()

    private func host(
        _ scratch: ScratchDirectory, driver: InMemoryHypervisorDriver? = nil, primary: (any PrimaryStore)? = nil,
        _ change: (inout LXCHypervisor.Policy) -> Void = { _ in }
    ) -> LXCHypervisor {
        var policy = LXCHypervisor.Policy()
        policy.idMaps.directory = scratch["ids"]
        policy.idMaps.respectsProcesses = false
        policy.idMaps.ranges = [100_000..<500_000]
        change(&policy)
        return LXCHypervisor(
            driver: driver ?? self.driver, primary: primary ?? self.primary, templates: templates, hostName: "host-1",
            policy: policy,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    private func template(_ host: LXCHypervisor) async throws -> TemplateID {
        await templates.addArchive(.smallRoot(), at: "/archive.tar")
        let key = TemplateKey(account: 1, id: 10)
        _ = try await templates.register(.init(key: key, name: "test", source: "/archive.tar"), progress: nil)
        return try await host.installTemplate(key).id
    }

    @Test func containersOfSeveralProgramsGetRangesOfTheirOwn() async throws {
        let locks = try ScratchDirectory()
        let programs = [host(locks), host(locks)]
        let template = try await template(programs[0])
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<6 {
                group.addTask {
                    _ = try await programs[index % 2].createContainer(
                        ContainerSpecification(name: GuestName("c\(index)"), template: template))
                }
            }
            try await group.waitForAll()
        }
        let maps = try await primary.contents().volumes.compactMap { $0.idMap?.users.first?.host }
        #expect(maps.sorted() == (0..<6).map { 100_000 + $0 * 65_536 })
        let error = await #expect(throws: LXCError.self) {
            _ = try await programs[0].createContainer(.init(name: GuestName("c6"), template: template))
        }
        #expect(error?.code == .limitExceeded)
        try await programs[1].container(GuestName("c3")).delete()
        let next = try await host(locks).createContainer(.init(name: GuestName("c7"), template: template))
        #expect(try await next.domain().idMap?.users.first.map { maps.contains($0.host) } == true)
        #expect(locks.list("ids/claims").count == 6)
        #expect(!locks.exists("ids/lock"), "the lock goes with who held it")
    }

    /// Two hypervisors and two stores, as two configurations of one tool have them.
    @Test func storesAndDaemonsOfAHostHaveOneBook() async throws {
        let scratch = try ScratchDirectory()
        let other = InMemoryPrimaryStore()
        let hosts = [host(scratch), host(scratch, driver: InMemoryHypervisorDriver(), primary: other)]
        let template = try await template(hosts[0])
        _ = try await other.installTemplate(template, from: MemoryTree.smallRoot())
        let first = try await hosts[0].createContainer(.init(name: GuestName("c1"), template: template))
        let second = try await hosts[1].createContainer(.init(name: GuestName("c2"), template: template))
        #expect(try await first.domain().idMap?.users.first?.host == 100_000)
        #expect(try await second.domain().idMap?.users.first?.host == 165_536)

        var specification = ContainerSpecification(name: try GuestName("c3"), template: template)
        specification.privilege = .unprivileged(try IDMap(host: 165_000, count: 65_536))
        let refused = await #expect(throws: LXCError.self) { try await hosts[1].createContainer(specification) }
        #expect(refused?.code == .inUse)
        #expect(refused?.message.contains("container c") == true && refused?.message.contains("c3") == true)
        #expect(try await other.contents().volumes.count == 1, "nothing was made")
        try await first.delete()
        try await second.delete()
        _ = try await hosts[1].createContainer(specification)
        #expect(scratch.list("ids/claims") == ["165000-230535"])
    }

    @Test func theHostsRootIsNoIDOfAnUnprivilegedContainer() async throws {
        let scratch = try ScratchDirectory()
        let host = host(scratch)
        var specification = ContainerSpecification(name: try GuestName("c1"), template: try await template(host))
        specification.privilege = .unprivileged(try IDMap(host: 0, count: 65_536))
        let refused = await #expect(throws: LXCError.self) { try await host.createContainer(specification) }
        #expect(refused?.code == .invalidArgument)
        #expect(throws: LXCError.self) { try specification.domain(root: "/") }
        #expect(try await primary.contents().volumes.isEmpty)
    }

    @Test func aContainerThatWasNotMadeGivesItsIDsBack() async throws {
        let scratch = try ScratchDirectory()
        let host = host(scratch)
        var specification = ContainerSpecification(name: try GuestName("c1"), template: .random())
        for privilege in [ContainerSpecification.Privilege.isolated, .unprivileged(.standard)] {
            specification.privilege = privilege
            let missing = await #expect(throws: LXCError.self) { try await host.createContainer(specification) }
            #expect(missing?.code == .notFound)
            #expect(scratch.list("ids/claims").isEmpty)
        }
    }

    /// A program that was killed before its volume was there, and a store that was removed with all in it.
    @Test func whatNobodyHasIsGivenAgain() async throws {
        let scratch = try ScratchDirectory()
        let host = host(scratch)
        let template = try await template(host)
        let first = try await host.createContainer(.init(name: GuestName("c0"), template: template))
        let gone = PoolID.random()
        let ended = #"{"boot":"other","process":1,"started":"1"}"#
        func claim(_ name: String, _ pool: PoolID) throws {
            try scratch.write(
                #"{"claimer":\#(ended),"container":"x","pool":"\#(pool)","volume":"\#(VolumeID.random())"}"#,
                to: "ids/claims/\(name)")
        }
        try claim("165536-231071", primary.id)
        try claim("231072-296607", gone)
        try scratch.write(scratch["removed"], to: "ids/pools/\(gone)")
        try claim("296608-499999", gone)
        for (index, start) in [165_536, 231_072, 296_608].enumerated() {
            let container = try await host.createContainer(
                .init(name: GuestName("c\(index + 1)"), template: template))
            #expect(try await container.domain().idMap?.users.first?.host == UInt32(start))
        }
        #expect(try await first.domain().idMap?.users.first?.host == 100_000)
    }

    @Test func claimsOfAPoolThatIsNotMountedAreKept() async throws {
        let scratch = try ScratchDirectory()
        let host = host(scratch)
        let template = try await template(host)
        _ = try await host.createContainer(.init(name: GuestName("c0"), template: template))
        let away = PoolID.random()
        try scratch.makeDirectory("mountpoint")
        try scratch.write(scratch["mountpoint"], to: "ids/pools/\(away)")
        try scratch.write(
            #"{"claimer":{"boot":"other","process":1,"started":"1"},"container":"x","pool":"\#(away)","#
                + #""volume":"\#(VolumeID.random())"}"#, to: "ids/claims/165536-499999")
        let error = await #expect(throws: LXCError.self) {
            try await host.createContainer(.init(name: GuestName("c1"), template: template))
        }
        #expect(error?.code == .limitExceeded)
    }

    /// However many volumes the store has, it is asked for none of them.
    @Test func creationDoesNotListTheStore() async throws {
        let scratch = try ScratchDirectory()
        let template = try await template(host(scratch))
        _ = try await host(scratch).createContainer(.init(name: GuestName("c0"), template: template))
        let host = host(scratch, primary: UnlistedStore(base: primary))
        let container = try await host.createContainer(.init(name: GuestName("c1"), template: template))
        #expect(try await container.domain().idMap?.users.first?.host == 165_536)
        try await container.start()
        try await container.delete()
    }

    @Test func theKernelsTablesAreRead() {
        #expect(LiveIDMaps.ranges("         0     100000      65536\n") == [100_000..<165_536])
        #expect(LiveIDMaps.ranges("0 1000 1\n1 100000 65536\n") == [1000..<1001, 100_000..<165_536])
        #expect(LiveIDMaps.ranges("0 0 4294967295\n").isEmpty, "the host's own ids are kept from nobody")
        #expect(LiveIDMaps.ranges("").isEmpty)
    }

    @Test func theIdsOfAVolumeWithoutAContainerAreKept() async throws {
        let locks = try ScratchDirectory()
        let host = host(locks)
        let template = try await template(host)
        _ = try await primary.createVolume(.random(), from: template, idMap: .standard)
        let container = try await host.createContainer(.init(name: GuestName("c1"), template: template))
        #expect(try await container.domain().idMap?.users.first?.host == 165_536)
    }

    @Test func aHostCanForgetContainersAndMakeThemPrivilegedByDefault() async throws {
        let locks = try ScratchDirectory()
        let host = host(locks) { ($0.defaultPrivilege, $0.keepsDefinitions) = (.privileged, false) }
        let specification = ContainerSpecification(
            name: try GuestName("i-2-3-VM"), template: try await template(host))
        let container = try await host.startContainer(specification)
        #expect(try await container.domain().idMap == nil)
        #expect(try await container.info().isTransient)
        #expect(try await container.stop() == .graceful)
        #expect(try await host.containers().isEmpty)
        let volumes = try await primary.contents().volumes
        #expect(volumes.map(\.id) == [specification.volume], "the volume stays")
        // The lease is given back: another host can take the volume.
        let lease = try await primary.acquireLease(on: specification.volume, for: "host-2")
        try await primary.releaseLease(lease)
        try await host.startContainer(specification)
        #expect(try await primary.contents().volumes.map(\.id) == [specification.volume], "and is used again")
        try await container.delete()
        #expect(try await primary.contents().volumes.isEmpty)
    }

    /// What a specification says counts, whatever the host's default is.
    @Test func isolatedIsIsolatedOnAHostOfPrivilegedContainers() async throws {
        let locks = try ScratchDirectory()
        let host = host(locks) { $0.defaultPrivilege = .privileged }
        let template = try await template(host)
        var specification = ContainerSpecification(
            name: try GuestName("c1"), template: template, privilege: .isolated)
        let container = try await host.createContainer(specification)
        #expect(try await container.domain().idMap?.users.first?.host == 100_000)
        specification.name = try GuestName("c2")
        (specification.uuid, specification.volume) = (UUID(), .random())
        _ = try await primary.createVolume(specification.volume, from: template, idMap: nil)
        let refused = await #expect(throws: LXCError.self) {
            _ = try await host.startTransientContainer(specification)
        }
        #expect(refused?.code == .invalidArgument, "a volume of the host's owners does not make it privileged")
    }

    @Test func aVolumeOfTheHostsOwnersIsNotRunUnasked() async throws {
        let locks = try ScratchDirectory()
        let host = host(locks)
        let template = try await template(host)
        var specification = ContainerSpecification(name: try GuestName("c1"), template: template)
        _ = try await primary.createVolume(specification.volume, from: template, idMap: nil)
        let refused = await #expect(throws: LXCError.self) {
            _ = try await host.startTransientContainer(specification)
        }
        #expect(refused?.code == .invalidArgument)
        specification.privilege = .privileged
        let container = try await host.startTransientContainer(specification)
        #expect(try await container.info().state == .running)
    }
}
