// SPDX-License-Identifier: Apache-2.0

import LXCHypervisor
import LXCTesting
import Logging
import TestSupport
import Testing

/// What a host does whose driver has nothing but the core.
@Suite(.limited) struct AbilityTests {
    private let policy: TestPolicy
    private let driver = InMemoryHypervisorDriver()
    private let primary = InMemoryPrimaryStore()

    init() throws { policy = try TestPolicy() }

    private func container() async throws -> Container {
        let host = LXCHypervisor(
            driver: CoreHypervisorDriver(driver), primary: primary,
            templates: InMemoryTemplateStore(), hostName: "host-1", policy: policy.host,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let template = try await primary.installTemplate(.random(), from: MemoryTree.smallRoot())
        return try await host.createContainer(
            ContainerSpecification(name: try GuestName("web1"), template: template.id))
    }

    @Test func aContainerOfSuchADriverStartsAndIsKilled() async throws {
        let container = try await container()
        try await container.start()
        #expect(try await driver.guest(container.name).state == .running)
        #expect(try await container.stop() == .forced)
        #expect(try await driver.guest(container.name).state == .shutOff)
    }

    @Test func whatTheDriverLacksIsUnsupportedAndNamed() async throws {
        let container = try await container()
        try await container.start()
        let calls: [(String, @Sendable () async throws -> Void)] = [
            ("suspend guests", { try await container.suspend() }),
            ("read and change limits", { _ = try await container.limits() }),
            ("start guests when it starts itself", { _ = try await container.isAutostarted() }),
            ("open consoles", { _ = try await container.openConsole() }),
            ("resize consoles", { try await container.resizeConsole(to: TerminalSize()) }),
            ("run commands inside guests", { _ = try await container.run(GuestCommand(["/bin/true"])) }),
        ]
        for (lacking, call) in calls {
            let error = await #expect(throws: LXCError.self) { try await call() }
            #expect(error?.code == .unsupported)
            #expect(error?.message.contains("the hypervisor driver in-memory cannot \(lacking)") == true)
        }
    }
}
