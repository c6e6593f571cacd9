// SPDX-License-Identifier: Apache-2.0

import FileTree
import Foundation
import Glibc
import LXCCore
import LXCHypervisor
import LXCTesting
import LinuxSystem
import Logging
import PrimaryStore
import TestSupport
import Testing

/// Two programs of one host that work on the same containers: each has a facade of its own over the same hypervisor and
/// store.
@Suite(.limited)
struct OperationLockTests {
    private let driver = InMemoryHypervisorDriver(sharesGuests: true)
    private let primary = InMemoryPrimaryStore()
    private let directory: ScratchDirectory
    private var name: GuestName { get throws { try GuestName("web1") } }

    init() throws { directory = try ScratchDirectory() }

    private func program(
        _ moment: InterruptedDriver.Moment = .beforeDefine, store: (any PrimaryStore)? = nil,
        leases: LeasePolicy = LeasePolicy(), waiting limit: Duration = .seconds(60),
        _ interruption: @escaping @Sendable (InMemoryHypervisorDriver) async throws -> Void = { _ in }
    ) -> LXCHypervisor {
        var policy = LXCHypervisor.Policy()
        policy.lockDirectory = directory["locks/guests"]
        policy.operationTimeout = limit
        policy.idMaps.directory = directory["ids"]
        policy.idMaps.respectsProcesses = false
        return LXCHypervisor(
            driver: InterruptedDriver(base: driver, moment: moment, interruption: interruption),
            primary: store ?? primary, templates: InMemoryTemplateStore(),
            vifs: VifDrivers(standard: InMemoryVifDriver()), hostName: "host-1",
            policy: policy, leases: leases, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    private func specification() async throws -> ContainerSpecification {
        let template = try await primary.installTemplate(.random(), from: MemoryTree.smallRoot())
        return ContainerSpecification(name: try name, template: template.id)
    }

    /// A start of one program that waits in the middle, until `end` is called.
    private func heldStart(
        of specification: ContainerSpecification
    ) async throws -> (start: Task<Void, any Error>, end: @Sendable () -> Void) {
        let (reached, signal) = AsyncStream<Void>.makeStream()
        let (released, release) = AsyncStream<Void>.makeStream()
        let first = program(.beforeStart) { _ in
            signal.finish()
            for await _ in released {}
        }
        let container = try await first.createContainer(specification)
        let start = Task { try await container.start() }
        for await _ in reached {}
        return (start, { release.finish() })
    }

    @Test func anOperationWaitsForThatOfAnotherProgram() async throws {
        let (start, end) = try await heldStart(of: specification())
        let other = try await program().container(name)
        let stop = Task {
            try await other.stop(within: .seconds(5))
            return ContinuousClock.now
        }
        try await Task.sleep(for: .milliseconds(200))
        let released = ContinuousClock.now
        end()
        try await start.value
        #expect(try await stop.value > released)
        #expect(try await other.info().state == .shutOff)
    }

    @Test func whatTakesTooLongIsNamed() async throws {
        let (start, end) = try await heldStart(of: specification())
        let other = try await program(waiting: .milliseconds(200)).container(name)
        let error = await #expect(throws: LXCError.self) { try await other.delete() }
        #expect(error?.code == .timedOut)
        #expect(error?.message.contains("container.start by process \(getpid())") == true)
        end()
        try await start.value
        #expect(try await other.info().state == .running)
    }

    @Test func theWaitForTheSameProgramEndsAsWell() async throws {
        let (reached, signal) = AsyncStream<Void>.makeStream()
        let (released, release) = AsyncStream<Void>.makeStream()
        let host = program(.beforeStart, waiting: .milliseconds(200)) { _ in
            signal.finish()
            for await _ in released {}
        }
        let container = try await host.createContainer(specification())
        let start = Task { try await container.start() }
        for await _ in reached {}
        #expect(await codeThrown { try await container.delete() } == .timedOut)
        release.finish()
        try await start.value
        try await container.delete()
    }

    @Test func theWaitForAnotherProgramCanBeCancelled() async throws {
        let (start, end) = try await heldStart(of: specification())
        let other = try await program().container(name)
        let waiting = Task { try await other.delete() }
        try await Task.sleep(for: .milliseconds(100))
        waiting.cancel()
        await #expect(throws: CancellationError.self) { try await waiting.value }
        end()
        try await start.value
    }

    @Test func aDirectoryOfLocksThatOthersCanWriteToIsRefused() async throws {
        try directory.makeDirectory("locks/guests")
        #expect(chmod(directory["locks/guests"], 0o777) == 0)
        let specification = try await specification()
        #expect(await codeThrown { try await program().createContainer(specification) } == .unsafe)
    }

    /// The network filter and the devices of both would have the same names.
    @Test func theLoserOfTwoCreationsTakesNothingOfTheWinner() async throws {
        var specification = try await specification()
        specification.nics = [NIC(deviceID: 0, security: NICSecurity(rules: []))]
        let (reached, signal) = AsyncStream<Void>.makeStream()
        let slow = program(.beforeDefine) { _ in
            signal.finish()
            // Long enough for the other to come as far.
            try await Task.sleep(for: .milliseconds(300))
        }
        let first = Task { [specification] in try await slow.createContainer(specification) }
        for await _ in reached {}
        var second = specification
        second.uuid = UUID()
        second.volume = .random()
        let other = second
        let isSecondMade = await codeThrown { try await program().createContainer(other) } == nil
        let isFirstMade = (try? await first.value) != nil
        #expect(isFirstMade != isSecondMade)
        let interface = try #require(try await driver.definition(of: name).interfaces.first)
        let filter = try #require(interface.filter?.filter)
        #expect(await driver.networkFilters[filter] != nil)
        try await program().container(name).start()
    }

    // MARK: Leases

    /// libvirt starts containers by itself, and leases nothing.
    @Test func theServiceTakesTheLeaseOfWhatLibvirtStarted() async throws {
        let specification = try await specification()
        let host = program(leases: LeasePolicy(duration: .seconds(60)))
        _ = try await host.createContainer(specification)
        let service = Task { try await host.run() }
        defer { service.cancel() }
        try await driver.start(specification.name)
        while try await primary.lease(on: specification.volume) == nil { try await Task.sleep(for: .milliseconds(10)) }
        let lease = try #require(try await primary.lease(on: specification.volume))
        #expect((lease.holder, lease.use) == ("host-1", "container web1"))
    }

    @Test func theServiceTakesALeaseThatIsMissingWhenItBegins() async throws {
        let specification = try await specification()
        let host = program()
        let container = try await host.createContainer(specification)
        try await container.start()
        #expect(try await primary.breakLease(on: specification.volume))
        let service = Task { try await host.run() }
        defer { service.cancel() }
        while try await primary.lease(on: specification.volume) == nil { try await Task.sleep(for: .milliseconds(10)) }
        try await container.stop()
        #expect(try await primary.leases().isEmpty)
    }

    /// One program watches and gives back the volumes of what ended, another reboots.
    @Test func aRebootBesideTheServiceKeepsTheLease() async throws {
        let specification = try await specification()
        let watching = program()
        let service = Task { try await watching.run() }
        defer { service.cancel() }
        // Slow to start, so that the service hears of the end first.
        let rebooting = program(.beforeStart) { _ in try await Task.sleep(for: .milliseconds(50)) }
        let container = try await rebooting.createContainer(specification)
        try await container.start()
        for _ in 0..<20 {
            try await container.reboot(within: .seconds(5))
            #expect(try await primary.lease(on: specification.volume)?.holder == "host-1")
        }
        try await Task.sleep(for: .milliseconds(200))
        #expect(try await primary.lease(on: specification.volume)?.holder == "host-1")
        try await container.stop()
    }

    /// libvirt or another program that knows no locks starts the container while its files are worked on.
    @Test func aContainerStartedWhileItsFilesAreWorkedOnKeepsItsVolume() async throws {
        let specification = try await specification()
        let container = try await program().createContainer(specification)
        _ = try await container.files.status(of: "/etc")
        #expect(try await primary.leases().isEmpty)
        let guest = specification.name
        let starting = Task {
            // Until the volume is leased for the work.
            while try await primary.lease(on: specification.volume) == nil { await Task.yield() }
            try await driver.start(guest)
        }
        while try await !driver.guest(guest).state.isActive { _ = try await container.files.status(of: "/etc") }
        try await starting.value
        #expect(try await primary.lease(on: specification.volume) != nil)
    }

    @Test func twoContainersOfAHostDoNotShareAVolume() async throws {
        var specification = try await specification()
        specification.privilege = .privileged
        let host = program()
        try await host.startTransientContainer(specification)
        specification.name = try GuestName("web2")
        specification.uuid = UUID()
        let second = specification
        let error = await #expect(throws: LXCError.self) { try await host.startTransientContainer(second) }
        #expect(error?.code == .inUse)
        #expect(error?.message.contains("container web1") == true)
        #expect(try await primary.lease(on: specification.volume)?.use == "container web1")
    }

    /// One lease whose renewal does not come back keeps no other waiting.
    @Test func aRenewalThatHangsDelaysNoOther() async throws {
        let (first, second) = (try await specification(), try await specification())
        var other = second
        other.name = try GuestName("web2")
        let host = program(
            store: HangingStore(base: primary, hanging: first.volume), leases: LeasePolicy(duration: .seconds(3)))
        for specification in [first, other] { try await host.createContainer(specification).start() }
        let service = Task { try await host.run() }
        let volume = other.volume
        let began = try #require(try await primary.lease(on: volume)?.expires)
        while try await (primary.lease(on: volume)?.expires ?? .distantPast) < began + 4 {
            try await Task.sleep(for: .milliseconds(50))
        }
        service.cancel()
        try? await service.value
    }

    // MARK: Leftovers

    @Test func whatAHostLeftIsFoundAndAdoptedOrRemoved() async throws {
        let host = program()
        var specifications: [ContainerSpecification] = []
        for name in ["a", "b", "c", "d"] {
            var specification = try await specification()
            specification.name = try GuestName(name)
            specifications.append(specification)
            _ = try await host.createContainer(specification)
        }
        let volumes = specifications.map(\.volume)
        for name in ["a", "b", "c"] { try await host.container(GuestName(name)).start() }
        #expect(try await host.leftovers().isEmpty)
        // The daemon died and took `a` and `b` with it, `c` ended and nobody saw it, `d` never ran; the first two and the
        // last are not known any more.
        for name in ["a", "b", "c"] { await driver.exit(try GuestName(name)) }
        for name in ["a", "b", "d"] { try await driver.undefine(GuestName(name)) }
        let left = try await host.leftovers()
        #expect(Set(left.map(\.volume)) == Set(volumes))
        #expect(Set(left.filter { $0.lease != nil }.map(\.volume)) == Set(volumes.prefix(3)))
        #expect(left.compactMap(\.guest) == [try GuestName("c")])

        #expect(await codeThrown { try await host.removeLeftover(volumes[2]) } == .inUse)
        try await host.releaseLeftover(volumes[2])
        #expect(await codeThrown { try await host.releaseLeftover(volumes[2]) } == .notFound)
        try await host.removeLeftover(volumes[1])
        #expect(await codeThrown { try await host.removeLeftover(volumes[1]) } == .notFound)
        let adopted = try await host.adoptLeftover(specifications[0])
        try await adopted.start()
        #expect(try await host.leftovers().map(\.volume) == [volumes[3]])
        #expect(Set(try await primary.contents().volumes.map(\.id)) == [volumes[0], volumes[2], volumes[3]])
    }

    @Test func whatAnotherHostHasIsNoLeftover() async throws {
        let specification = try await specification()
        _ = try await primary.createVolume(specification.volume, from: specification.template)
        let host = program()
        #expect(try await host.leftovers().map(\.volume) == [specification.volume])
        _ = try await primary.acquireLease(on: specification.volume, for: "host-2")
        #expect(try await host.leftovers().isEmpty)
        #expect(await codeThrown { try await host.removeLeftover(specification.volume) } == .notFound)
    }
}

/// A store that does not answer when a volume's lease is to be renewed, until the caller gives up.
private struct HangingStore: PrimaryStore {
    let base: InMemoryPrimaryStore
    let hanging: VolumeID

    var id: PoolID { base.id }
    func renewLease(
        on volume: VolumeID, for holder: String, lasting duration: Duration?
    ) async throws -> VolumeLease {
        if volume == hanging { try await Task.sleep(for: .seconds(3_600)) }
        return try await base.renewLease(on: volume, for: holder, lasting: duration)
    }

    func capacity() async throws -> StoreCapacity { try await base.capacity() }
    func contents() async throws -> StoreContents { try await base.contents() }
    func installTemplate(
        _ id: TemplateID, from origin: any TreeOrigin, expecting expected: TreeDigest?, limits: TreeLimits,
        progress: ProgressHandler?
    ) async throws -> StoredTemplate {
        try await base.installTemplate(id, from: origin, expecting: expected, limits: limits, progress: progress)
    }
    func verifyTemplate(_ id: TemplateID, progress: ProgressHandler?) async throws -> [TreeManifest.Difference] {
        try await base.verifyTemplate(id, progress: progress)
    }
    func deleteTemplate(_ id: TemplateID) async throws { try await base.deleteTemplate(id) }
    func createVolume(
        _ id: VolumeID, from template: TemplateID, idMap: IDMap?, progress: ProgressHandler?
    ) async throws -> StoredVolume {
        try await base.createVolume(id, from: template, idMap: idMap, progress: progress)
    }
    func deleteVolume(_ id: VolumeID) async throws { try await base.deleteVolume(id) }
    func hostPath(of volume: VolumeID) async throws -> String { try await base.hostPath(of: volume) }
    func root(of volume: VolumeID) async throws -> ConfinedRoot { try await base.root(of: volume) }
    func lease(on volume: VolumeID) async throws -> VolumeLease? { try await base.lease(on: volume) }
    func leases() async throws -> [VolumeLease] { try await base.leases() }
    func acquireLease(
        on volume: VolumeID, for holder: String, use: String?, lasting duration: Duration?
    ) async throws -> VolumeLease {
        try await base.acquireLease(on: volume, for: holder, use: use, lasting: duration)
    }
    func releaseLease(_ lease: VolumeLease) async throws { try await base.releaseLease(lease) }
    func breakLease(on volume: VolumeID) async throws -> Bool { try await base.breakLease(on: volume) }
    func collectGarbage() async throws -> Int { try await base.collectGarbage() }
}
