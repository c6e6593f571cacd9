// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import HypervisorDriver
import LXCCore
import LXCHypervisor
import LXCTesting
import Logging
import PrimaryStore
import TestSupport
import Testing

/// A host with two primary stores, in directories, over a hypervisor in memory.
@Suite(.timeLimit(.minutes(5)))
struct PoolTests {
    private let policy: TestPolicy
    private let driver = InMemoryHypervisorDriver()
    private let directories: [ScratchDirectory]
    private let stores: [SharedMountPointStore]
    private let templates = InMemoryTemplateStore()
    private let template: TemplateID

    init() async throws {
        policy = try TestPolicy()
        directories = [try ScratchDirectory(), try ScratchDirectory()]
        stores = [
            try await SharedMountPointStore.create(at: directories[0].path),
            try await SharedMountPointStore.create(at: directories[1].path),
        ]
        template = try await stores[0].installTemplate(.random(), from: Self.tree).id
        _ = try await stores[1].installTemplate(template, from: Self.tree)
    }

    /// A small root the process may own.
    private static var tree: MemoryTree { MemoryTree.smallRoot(user: geteuid(), group: getegid()) }

    private func host(_ pools: [any PrimaryStore]? = nil) throws -> LXCHypervisor {
        try LXCHypervisor(
            driver: driver, pools: pools ?? stores, templates: templates,
            vifs: VifDrivers(standard: InMemoryVifDriver()), hostName: "host-1", policy: policy.host,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    private func specification(_ name: String, in pool: PoolID? = nil) throws -> ContainerSpecification {
        var specification = ContainerSpecification(
            name: try GuestName(name), template: template, privilege: .privileged)
        specification.pool = pool
        specification.identity = nil
        return specification
    }

    /// A host that was opened with the second store, which is not there.
    private func hostWithoutSecond() throws -> LXCHypervisor {
        try host([
            stores[0],
            UnreachableStore(stores[1].id, because: LXCError(.unavailable, "the second pool is not mounted")),
        ])
    }

    @Test func eachContainerIsInThePoolItNames() async throws {
        let host = try host()
        #expect(host.pools.map(\.id) == stores.map(\.id) && host.primary.id == stores[0].id)
        let first = try await host.createContainer(specification("web1"))
        let second = try await host.createContainer(specification("web2", in: stores[1].id))
        #expect(try await [first.pool(), second.pool()] == stores.map(\.id))
        for store in stores { #expect(try await store.contents().volumes.count == 1) }
        for container in [first, second] { try await container.start() }
        #expect(try await stores[1].leases().map(\.use) == ["container web2"])
        try await second.stop()
        #expect(try await stores[1].leases().isEmpty)
        #expect(try await stores[0].leases().count == 1)
        try await first.delete()
        #expect(try await stores[0].contents().volumes.isEmpty)
        #expect(try await stores[1].contents().volumes.count == 1)
    }

    /// What a program that was restarted knows is in libvirt and in the stores; the order of the pools says nothing.
    @Test func anotherProgramFindsThem() async throws {
        _ = try await host().createContainer(specification("web1", in: stores[1].id))
        let container = try await host([stores[1], stores[0]]).container(GuestName("web1"))
        #expect(try await container.pool() == stores[1].id)
        try await container.start()
        #expect(try await stores[1].leases().count == 1)
        let other = try host([stores[0]])
        let error = await #expect(throws: LXCError.self) { try await other.container(GuestName("web1")).stop() }
        #expect(error?.code == .invalidState)
        #expect(error?.message.contains("\(stores[1].id)") == true)
        try await container.delete()
        #expect(try await stores[1].contents().volumes.isEmpty)
    }

    @Test func transientContainersAreInTheirPool() async throws {
        let host = try host()
        let specification = try specification("web1", in: stores[1].id)
        let container = try await host.startTransientContainer(specification)
        #expect(try await container.pool() == stores[1].id)
        #expect(try await stores[1].leases().count == 1)
        try await container.delete()
        #expect(try await stores[1].contents().volumes.isEmpty)
        #expect(try await stores[0].contents().volumes.isEmpty)
    }

    @Test func aPoolOrATemplateThatIsNotThereIsNamed() async throws {
        let host = try host()
        let unknown = PoolID.random()
        let noPool = await #expect(throws: LXCError.self) {
            try await host.createContainer(specification("web1", in: unknown))
        }
        #expect(noPool?.code == .notFound && noPool?.message.contains("\(unknown)") == true)
        #expect(throws: LXCError.self) { try host.pool(unknown) }

        try await stores[1].deleteTemplate(template)
        let noTemplate = await #expect(throws: LXCError.self) {
            try await host.createContainer(specification("web1", in: stores[1].id))
        }
        #expect(noTemplate?.code == .notFound)
        for part in ["\(template)", "pool \(stores[1].id)", "pool \(stores[0].id)", "install it"] {
            #expect(noTemplate?.message.contains(part) == true, "\(part)")
        }
    }

    @Test func templatesAreInstalledInThePoolThatIsNamed() async throws {
        let host = try host()
        await templates.addArchive(Self.tree, at: "/archive.tar")
        let key = TemplateKey(account: 1, id: 10)
        try await host.registerTemplate(TemplateRegistration(key: key, name: "test", source: "/archive.tar"))
        let installed = try await host.installTemplate(key, in: stores[1].id)
        #expect(try await stores[1].contents().templates.map(\.id).contains(installed.id))
        #expect(try await !stores[0].contents().templates.map(\.id).contains(installed.id))
        _ = try await host.installTemplate(key)
        #expect(try await stores[0].contents().templates.map(\.id).contains(installed.id))
    }

    /// A pool that cannot be reached concerns its own containers alone.
    @Test func onePoolIsGone() async throws {
        let before = try host()
        let first = try specification("web1")
        _ = try await before.createContainer(first)
        let second = try await before.createContainer(specification("web2", in: stores[1].id))
        try await second.start()
        let host = try hostWithoutSecond()
        let lost = try await host.container(GuestName("web2"))
        #expect(try await lost.stop() == .graceful, "a container can be ended without its store")
        let error = await #expect(throws: LXCError.self) { try await lost.start() }
        #expect(error?.code == .unavailable && error?.message.contains("not mounted") == true)
        #expect(
            await codeThrown { try await host.createContainer(specification("web3", in: stores[1].id)) }
                == .unavailable)
        try await host.container(first.name).start()
        try await host.container(first.name).delete()
        let statistics = try await host.hostStatistics()
        #expect(statistics.pools.map(\.id) == stores.map(\.id))
        #expect(statistics.pools.map { $0.capacity != nil } == [true, false])
        #expect(try await host.leftovers().isEmpty)
        #expect(await codeThrown { try await host.leftovers(in: stores[1].id) } == .unavailable)
        // The lease of the one that was stopped meanwhile is found when the pool is there again.
        #expect(try await self.host().leftovers().map(\.guest) == [lost.name])
    }

    @Test func leftoversAreFoundInAllPools() async throws {
        let host = try host()
        let volume = try await stores[0].createVolume(.random(), from: template).id
        let other = try await stores[1].createVolume(.random(), from: template).id
        _ = try await stores[1].acquireLease(on: other, for: "host-1")
        let found = try await host.leftovers()
        #expect(found.map(\.volume) == [volume, other] && found.map(\.pool) == stores.map(\.id))
        #expect(try await host.leftovers(in: stores[1].id).map(\.volume) == [other])
        try await host.releaseLeftover(other)
        try await host.removeLeftover(volume)
        var adopted = try specification("web1")
        adopted.volume = other
        let container = try await host.adoptLeftover(adopted)
        #expect(try await container.pool() == stores[1].id)
        #expect(try await host.leftovers().isEmpty)
    }

    /// A volume that was copied to the other pool with its name is told apart by the pool.
    @Test func theSameVolumeInTwoPoolsIsAskedFor() async throws {
        let host = try host()
        let volume = try await stores[0].createVolume(.random(), from: template).id
        _ = try await stores[1].createVolume(volume, from: template)
        #expect(await codeThrown { try await host.removeLeftover(volume) } == .invalidArgument)
        try await host.removeLeftover(volume, in: stores[1].id)
        #expect(try await host.leftovers().map(\.pool) == [stores[0].id])
    }

    @Test func aPoolIsGivenOnce() async throws {
        #expect(await codeThrown { try self.host([stores[0], stores[0]]) } == .invalidArgument)
        #expect(await codeThrown { try self.host([]) } == .invalidArgument)
        try FileManager.default.createSymbolicLink(
            atPath: directories[1]["link"], withDestinationPath: directories[0].path)
        for other in [directories[0].path + "/", directories[1]["link"]] {
            let configuration = Configuration(
                pools: [.init(directories[0].path), .init(other)], secondary: "/nonexistent")
            let error = await #expect(throws: LXCError.self) { try await LXCHypervisor.open(configuration) }
            #expect(error?.code == .invalidArgument && error?.message.contains("twice") == true)
        }
    }

    /// Ids that a volume of one pool has are not given to a container of the other.
    @Test func hostIDsAreUniqueAmongThePools() async throws {
        let (first, second) = (InMemoryPrimaryStore(), InMemoryPrimaryStore())
        let template = try await first.installTemplate(.random(), from: MemoryTree.smallRoot()).id
        _ = try await second.installTemplate(template, from: MemoryTree.smallRoot())
        // Made by another host, before this one had a book.
        let theirs = try IDMap(host: 2_000_000, count: 65_536)
        _ = try await second.createVolume(.random(), from: template, idMap: theirs)
        let host = try host([first, second])
        var specification = ContainerSpecification(
            name: try GuestName("web1"), template: template, privilege: .unprivileged(theirs))
        #expect(await codeThrown { try await host.createContainer(specification) } == .inUse)
        specification.privilege = .isolated
        _ = try await host.createContainer(specification)
    }

    @Test func aSpecificationsPoolIsInItsJSON() throws {
        let specification = try specification("web1", in: stores[1].id)
        let data = try JSONEncoder().encode(specification)
        #expect(try JSONDecoder().decode(ContainerSpecification.self, from: data).pool == stores[1].id)
        var machine = SystemVMSpecification(name: try GuestName("v-1-VM"), template: template)
        machine.pool = stores[1].id
        let decoded = try JSONDecoder().decode(SystemVMSpecification.self, from: JSONEncoder().encode(machine))
        #expect(decoded.pool == stores[1].id)
    }
}
