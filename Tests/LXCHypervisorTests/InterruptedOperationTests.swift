// SPDX-License-Identifier: Apache-2.0

import LXCCore
import LXCHypervisor
import LXCTesting
import LibvirtXML
import Logging
import Synchronization
import TestSupport
import Testing

/// Operations of the facade that fail, are cancelled or meet another program between two of their steps.
@Suite(.limited)
struct InterruptedOperationTests {
    private let policy: TestPolicy
    private let driver = InMemoryHypervisorDriver()
    private let primary = InMemoryPrimaryStore()

    init() throws { policy = try TestPolicy() }

    private func host(
        _ moment: InterruptedDriver.Moment = .beforeDefine, primary other: InMemoryPrimaryStore? = nil,
        vifs: VifDrivers = VifDrivers(),
        _ interruption: @escaping @Sendable (InMemoryHypervisorDriver) async throws -> Void = { _ in }
    ) -> LXCHypervisor {
        LXCHypervisor(
            driver: InterruptedDriver(base: driver, moment: moment, interruption: interruption),
            primary: other ?? primary, templates: InMemoryTemplateStore(), vifs: vifs, hostName: "host-1",
            policy: policy.host, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    private func specification() async throws -> ContainerSpecification {
        let template = try await primary.installTemplate(.random(), from: MemoryTree.smallRoot())
        return ContainerSpecification(name: try GuestName("web1"), template: template.id)
    }

    private var lostAnswer: @Sendable (InMemoryHypervisorDriver) async throws -> Void {
        { _ in throw LXCError(.unavailable, "the connection was lost") }
    }

    private var cancellation: @Sendable (InMemoryHypervisorDriver) async throws -> Void {
        { _ in
            withUnsafeCurrentTask { $0?.cancel() }
            throw CancellationError()
        }
    }

    private func isLeased(_ volume: VolumeID) async -> Bool {
        await codeThrown { try await primary.acquireLease(on: volume, for: "host-2") } == .inUse
    }

    // MARK: Creating

    @Test(arguments: [InterruptedDriver.Moment.beforeDefine, .afterDefine], [false, true])
    func aCreationThatDoesNotSucceedLeavesNothing(at moment: InterruptedDriver.Moment, cancelled: Bool) async throws {
        let specification = try await specification()
        let host = host(moment, cancelled ? cancellation : lostAnswer)
        let creation = Task { _ = try await host.createContainer(specification) }
        await #expect(throws: (any Error).self) { try await creation.value }
        #expect(try await driver.guests().isEmpty)
        #expect(try await primary.contents().volumes.isEmpty)
    }

    @Test func aGuestThatAnotherProgramDefinedMeanwhileStays() async throws {
        let specification = try await specification()
        let theirs = Domain(type: .lxc, name: "web1", os: .container(initPath: "/sbin/init"))
        let host = host(.beforeDefine) { try await $0.define(theirs) }
        #expect(await codeThrown { try await host.createContainer(specification) } == .alreadyExists)
        #expect(try await driver.guests().map(\.name) == [specification.name])
        #expect(try await primary.contents().volumes.isEmpty)
    }

    @Test func whatWasPluggedIsTakenBackInACancelledTask() async throws {
        let vif = CancellingVifDriver()
        let vifs = VifDrivers(standard: vif)
        let plugging = Task {
            _ = try await vifs.plug([NIC(deviceID: 0), NIC(deviceID: 1)], of: GuestName("web1"))
        }
        await #expect(throws: CancellationError.self) { try await plugging.value }
        #expect(vif.unplugged.withLock { $0 } == 1)
    }

    // MARK: Starting and stopping

    @Test func aContainerThatAnotherProgramStartedMeanwhileKeepsItsVolume() async throws {
        let specification = try await specification()
        let host = host(.beforeStart) { try await $0.start(GuestName("web1")) }
        let container = try await host.createContainer(specification)
        #expect(await codeThrown { try await container.start() } == .invalidState)
        #expect(try await container.info().state == .running)
        #expect(await isLeased(specification.volume))
    }

    @Test func aContainerWhoseStartWasNotAnsweredKeepsItsVolume() async throws {
        let specification = try await specification()
        let container = try await host(.afterStart, lostAnswer).createContainer(specification)
        #expect(await codeThrown { try await container.start() } == .unavailable)
        #expect(try await container.info().state == .running)
        #expect(await isLeased(specification.volume))
    }

    @Test func aCancelledStartGivesTheVolumeBack() async throws {
        let specification = try await specification()
        let container = try await host(.beforeStart, cancellation).createContainer(specification)
        let start = Task { try await container.start() }
        await #expect(throws: CancellationError.self) { try await start.value }
        #expect(await !isLeased(specification.volume))
    }

    @Test func aContainerThatEndsBeforeItIsAskedToHasEnded() async throws {
        let specification = try await specification()
        let host = host(.beforeShutdown) { try await $0.exit(GuestName("web1")) }
        let container = try await host.createContainer(specification)
        try await container.start()
        #expect(try await container.stop(within: .seconds(5)) == .graceful)
        #expect(await !isLeased(specification.volume))
    }

    @Test func anOperationThatWaitsForAnotherCanBeCancelled() async throws {
        let (reached, signal) = AsyncStream<Void>.makeStream()
        let (released, release) = AsyncStream<Void>.makeStream()
        let host = host(.beforeStart) { _ in
            signal.finish()
            for await _ in released {}
        }
        let container = try await host.createContainer(specification())
        let start = Task { try await container.start() }
        for await _ in reached {}
        let waiting = [Task { try await container.suspend() }, Task { try await container.delete() }]
        try await Task.sleep(for: .milliseconds(100))
        // The start goes on only after this, so a wait that cannot be cancelled never ends.
        for task in waiting {
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
        }
        release.finish()
        try await start.value
        #expect(try await container.info().state == .running)
        try await container.delete()
    }

    // MARK: Destroying

    @Test func destroyingWhatIsGoneSucceeds() async throws {
        let container = try await host().createContainer(specification())
        try await container.delete()
        try await container.delete()
        #expect(await codeThrown { try await container.start() } == .notFound)
    }

    @Test func aDestructionThatFailsCanBeFinished() async throws {
        let specification = try await specification()
        let container = try await host().createContainer(specification)
        let lease = try await primary.acquireLease(on: specification.volume, for: "host-2")
        #expect(await codeThrown { try await container.delete() } == .inUse)
        #expect(try await container.info().state == .shutOff)
        #expect(try await primary.contents().volumes.map(\.id) == [specification.volume])
        try await primary.releaseLease(lease)
        try await container.delete()
        #expect(try await driver.guests().isEmpty)
        #expect(try await primary.contents().volumes.isEmpty)
    }

    @Test func aContainerWithoutItsVolumeCanBeDestroyed() async throws {
        let specification = try await specification()
        let container = try await host().createContainer(specification)
        try await primary.deleteVolume(specification.volume)
        try await container.delete()
        #expect(try await driver.guests().isEmpty)
    }

    @Test func aContainerOfAnotherPoolIsLeftAlone() async throws {
        let specification = try await specification()
        let container = try await host().createContainer(specification)
        try await container.start()
        let elsewhere = try await host(primary: InMemoryPrimaryStore()).container(specification.name)
        #expect(await codeThrown { try await elsewhere.stop(within: .seconds(1)) } == .invalidState)
        #expect(await codeThrown { try await elsewhere.delete() } == .invalidState)
        #expect(try await container.info().state == .running)
        #expect(await isLeased(specification.volume))
        try await container.stop(within: .seconds(5))
        #expect(await codeThrown { try await elsewhere.start() } == .invalidState)
        try await container.delete()
        #expect(try await primary.contents().volumes.isEmpty)
    }
}

/// Plugs the first NIC and is cancelled at the second; like any good driver it takes nothing back in a cancelled task.
private final class CancellingVifDriver: VifDriver {
    let name = "cancelling"
    let unplugged = Mutex(0)

    func plug(_ nic: NIC, of guest: GuestName) async throws -> Interface {
        if nic.deviceID > 0 {
            withUnsafeCurrentTask { $0?.cancel() }
            throw CancellationError()
        }
        return Interface(.bridge("br0"))
    }

    func connection(of nic: NIC) -> Interface.Kind { .bridge("br0") }

    func unplug(_ interface: Interface) async throws {
        try Task.checkCancellation()
        unplugged.withLock { $0 += 1 }
    }
}
