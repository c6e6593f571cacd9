// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCHypervisor
import LXCTesting
import LibvirtXML
import Logging
import TestSupport
import Testing

/// Names and hardware addresses among all guests of a host.
@Suite(.timeLimit(.minutes(5)))
struct GuestRegisterTests {
    private let containers = InMemoryHypervisorDriver(sharesGuests: true)
    private let machines = InMemoryHypervisorDriver(type: .qemu, sharesGuests: true)
    private let primary = InMemoryPrimaryStore()
    private let directory: ScratchDirectory

    init() throws { directory = try ScratchDirectory() }

    /// A program of the host, with a facade of its own.
    private func program(
        beforeDefine interruption: @escaping @Sendable (InMemoryHypervisorDriver) async throws -> Void = { _ in }
    ) -> LXCHypervisor {
        var policy = LXCHypervisor.Policy()
        policy.lockDirectory = directory["locks/guests"]
        policy.idMaps.directory = directory["ids"]
        policy.idMaps.respectsProcesses = false
        return LXCHypervisor(
            driver: InterruptedDriver(base: containers, moment: .beforeDefine, interruption: interruption),
            primary: primary, templates: InMemoryTemplateStore(), vifs: VifDrivers(standard: InMemoryVifDriver()),
            hostName: "host-1", policy: policy, systemVMs: machines,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    private func specification(_ name: String, _ nics: [NIC] = []) async throws -> ContainerSpecification {
        let template = try await primary.installTemplate(.random(), from: MemoryTree.smallRoot())
        var specification = ContainerSpecification(name: try GuestName(name), template: template.id)
        specification.nics = nics
        return specification
    }

    /// A system VM that another program defined.
    private func machine(_ name: String, mac: MACAddress) async throws {
        var domain = Domain(type: .qemu, name: name, os: .machine())
        var interface = Interface(.bridge("cloudbr0"))
        interface.mac = mac
        domain.interfaces = [interface]
        try await machines.define(domain)
    }

    @Test func aSystemVMsNameIsTaken() async throws {
        try await machine("v-2-VM", mac: .random())
        for create in [LXCHypervisor.createContainer, LXCHypervisor.startTransientContainer] {
            let specification = try await specification("v-2-VM")
            let error = await #expect(throws: LXCError.self) { _ = try await create(program())(specification, nil) }
            #expect(error?.code == .alreadyExists)
            #expect(error?.message.contains("system VM v-2-VM") == true)
        }
        #expect(try await primary.contents().volumes.isEmpty)
    }

    @Test func aSystemVMsAddressIsTaken() async throws {
        let mac = MACAddress.random()
        try await machine("v-2-VM", mac: mac)
        let host = program()
        let specification = try await specification("web1", [NIC(mac: mac)])
        let error = await #expect(throws: LXCError.self) { try await host.createContainer(specification) }
        #expect(error?.code == .alreadyExists)
        #expect(error?.message.contains("system VM v-2-VM") == true)
        let container = try await host.createContainer(self.specification("web2"))
        #expect(await codeThrown { try await container.plugNIC(NIC(mac: mac)) } == .alreadyExists)
        _ = try await container.plugNIC(NIC())
    }

    @Test func aHostWhoseSystemVMsDoNotAnswerMakesContainers() async throws {
        await machines.disconnect()
        let container = try await program().createContainer(specification("web1", [NIC()]))
        #expect(try await container.domain().interfaces.count == 1)
    }

    /// The address is reserved from its choice to the definition: between the two no other operation takes it, of this
    /// program or of another.
    @Test(arguments: [false, true])
    func twoGuestsMadeAtOnceDoNotGetTheSameAddress(byTwoPrograms: Bool) async throws {
        let mac = MACAddress.random()
        let first = program()
        let hosts = [first, byTwoPrograms ? program() : first]
        let specifications = [
            try await specification("web1", [NIC(mac: mac)]), try await specification("web2", [NIC(mac: mac)]),
        ]
        let outcomes = await withTaskGroup(of: LXCError.Code?.self) { group in
            for (host, specification) in zip(hosts, specifications) {
                group.addTask { await codeThrown { try await host.createContainer(specification) } }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(outcomes.filter { $0 == nil }.count == 1)
        #expect(outcomes.compactMap(\.self).allSatisfy { [.inUse, .alreadyExists].contains($0) })
        #expect(try await containers.guests().count == 1)
        #expect(try await primary.contents().volumes.count == 1)
    }

    @Test func anAddressThatIsJustBeingGivenIsInUse() async throws {
        let mac = MACAddress.random()
        let (reached, signal) = AsyncStream<Void>.makeStream()
        let (released, release) = AsyncStream<Void>.makeStream()
        let first = program { _ in
            signal.finish()
            for await _ in released {}
        }
        let specification = try await specification("web1", [NIC(mac: mac)])
        let creation = Task { try await first.createContainer(specification) }
        for await _ in reached {}
        let other = try await self.specification("web2", [NIC(mac: mac)])
        let error = await #expect(throws: LXCError.self) { try await program().createContainer(other) }
        #expect(error?.code == .inUse && error?.message.contains("\(mac)") == true)
        release.finish()
        _ = try await creation.value
    }
}
