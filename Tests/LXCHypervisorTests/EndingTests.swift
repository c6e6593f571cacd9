// SPDX-License-Identifier: Apache-2.0

import LXCCore
import LXCHypervisor
import LXCTesting
import Logging
import Synchronization
import TestSupport
import Testing

/// How containers end that are suspended, whose stop is given up, or that cannot be started again at first.
@Suite(.limited) struct EndingTests {
    private let policy: TestPolicy
    private let driver = InMemoryHypervisorDriver()
    private let primary = InMemoryPrimaryStore()

    init() throws { policy = try TestPolicy() }

    private func host(
        beforeStart: @escaping @Sendable (InMemoryHypervisorDriver) async throws -> Void = { _ in }
    ) -> LXCHypervisor {
        var policy = policy.host
        policy.backOff = .init(initial: .milliseconds(10), maximum: .milliseconds(50))
        return LXCHypervisor(
            driver: InterruptedDriver(base: driver, moment: .beforeStart, interruption: beforeStart), primary: primary,
            templates: InMemoryTemplateStore(), hostName: "host-1", policy: policy,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    private func running(
        on host: LXCHypervisor, restart: ContainerMetadata.RestartPolicy = .never
    ) async throws -> Container {
        let template = try await primary.installTemplate(.random(), from: MemoryTree.smallRoot())
        var specification = ContainerSpecification(name: try GuestName("web1"), template: template.id)
        specification.restart = restart
        let container = try await host.createContainer(specification)
        try await container.start()
        return container
    }

    private func isHeld(_ container: Container) async throws -> Bool {
        try await container.domain().containerMetadata()?.isHeld == true
    }

    @Test func oneThatIsSuspendedGoesOnAndIsAsked() async throws {
        let container = try await running(on: host())
        try await container.suspend()
        let events = try await driver.events()
        #expect(try await container.stop(within: .seconds(60)) == .graceful)
        for try await event in events {
            #expect(event.kind == .resumed)
            break
        }
    }

    @Test func oneThatIsSuspendedMeanwhileHasAllItsTime() async throws {
        let container = try await running(on: host())
        await driver.setObeysShutdown(false, container.name)
        let start = ContinuousClock.now
        let stop = Task { try await container.stop(within: .seconds(2)) }
        try await Task.sleep(for: .milliseconds(200))
        // By another program, which knows nothing of the stop.
        try await driver.suspend(container.name)
        #expect(try await stop.value == .forced)
        #expect(ContinuousClock.now - start >= .seconds(2))
    }

    @Test func aStopThatIsGivenUpIsTakenBack() async throws {
        let container = try await running(on: host(), restart: .always)
        await driver.setObeysShutdown(false, container.name)
        let stop = Task { try await container.stop(within: .seconds(60)) }
        while try await !isHeld(container) { try await Task.sleep(for: .milliseconds(5)) }
        stop.cancel()
        await #expect(throws: CancellationError.self) { try await stop.value }
        #expect(try await container.info().state == .running)
        #expect(try await !isHeld(container), "it is started again if it ends by itself")
        #expect(try await container.stop(within: .zero) == .forced)
        #expect(try await isHeld(container))
    }

    @Test func errorsNameTheContainerAndNotItsVolumeAlone() async throws {
        let container = try await running(on: host())
        try await container.stop()
        let volume = try #require(try await container.domain().containerMetadata()?.volume)
        _ = try await primary.acquireLease(on: volume, for: "host-2")
        let error = await #expect(throws: LXCError.self) { try await container.start() }
        #expect(error?.code == .inUse)
        #expect(error?.message.contains("container web1") == true)
        #expect(error?.location.contains("VolumeLease") == true, "where it was made is still said")
    }

    /// A device of the host that is down is `invalidState`, and passes.
    @Test(arguments: [LXCError.Code.invalidState, .unavailable, .io])
    func whatCannotBeStartedNowIsTriedAgain(code: LXCError.Code) async throws {
        let starts = Mutex(0)
        let host = host { _ in
            let number = starts.withLock { starts in
                starts += 1
                return starts
            }
            if (2...4).contains(number) { throw LXCError(code, "not now") }
        }
        let container = try await running(on: host, restart: .always)
        let service = Task { try await host.run() }
        // Seen running by the service first.
        try await Task.sleep(for: .milliseconds(100))
        await driver.exit(container.name)
        while starts.withLock({ $0 }) < 5 { try await Task.sleep(for: .milliseconds(5)) }
        try await container.wait(for: .running, within: .seconds(60))
        service.cancel()
        _ = await service.result
    }
}
