// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCCore
import LXCHypervisor
import LXCTesting
import LibvirtXML
import Logging
import TestSupport
import Testing

/// The facade over in-memory drivers.
@Suite(.limited)
struct FacadeTests {
    let policy: TestPolicy
    let driver = InMemoryHypervisorDriver()
    let primary = InMemoryPrimaryStore()
    let templates = InMemoryTemplateStore()
    let key = TemplateKey(account: 1, id: 10)

    init() throws { policy = try TestPolicy() }

    func makeHost(_ hostName: String = "host-1", leases: LeasePolicy = LeasePolicy()) -> LXCHypervisor {
        LXCHypervisor(
            driver: driver, primary: primary, templates: templates, vifs: VifDrivers(standard: InMemoryVifDriver()),
            hostName: hostName, policy: policy.host, leases: leases,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    /// A host with one template installed.
    func installed(leases: LeasePolicy = LeasePolicy()) async throws -> (LXCHypervisor, StoredTemplate) {
        let host = makeHost(leases: leases)
        await templates.addArchive(.smallRoot(), at: "/archive.tar")
        let registration = TemplateRegistration(key: key, name: "test", source: "/archive.tar")
        try await host.registerTemplate(registration)
        return (host, try await host.installTemplate(key))
    }

    func specification(_ name: String, _ template: StoredTemplate) throws -> ContainerSpecification {
        ContainerSpecification(name: try GuestName(name), template: template.id)
    }

    @Test func aContainerGoesThroughItsLife() async throws {
        let (host, template) = try await installed()
        let specification = try specification("web1", template)
        let container = try await host.createContainer(specification)
        #expect(try await container.info().state == .shutOff)
        try await container.start()
        #expect(try await container.info().state == .running)
        #expect(try await container.stop(within: .seconds(5)) == .graceful)
        #expect(try await container.stop() == .notRunning)
        try await container.delete()
        #expect(try await host.containers().isEmpty)
        #expect(try await primary.contents().volumes.isEmpty)
    }

    @Test func installingTwiceGivesTheSameTemplate() async throws {
        let (host, template) = try await installed()
        #expect(try await host.installTemplate(key) == template)
        #expect(try await primary.contents().templates.count == 1)
    }

    @Test func theDocumentCarriesTheSpecification() async throws {
        let (host, template) = try await installed()
        var specification = try specification("web1", template)
        specification.privilege = .unprivileged(.standard)
        specification.limits.memory = .mebibytes(300)
        specification.cpus = 2
        specification.limits.cpuShares = 512
        specification.limits.cpuPeriod = .milliseconds(10)
        specification.limits.cpuQuota = .milliseconds(5)
        specification.initProcess = .init(path: "/bin/run", arguments: ["-a", "b c"], environment: ["K": "v"])
        specification.owner = "alice"
        let container = try await host.createContainer(specification)
        let document = try await container.domain()
        #expect(document.type == .lxc)
        #expect(document.idMap == .standard)
        #expect(document.memory == .mebibytes(300))
        #expect(document.cpuTuning == CPUTuning(shares: 512, period: 10_000, quota: 5_000))
        #expect(document.os.initArguments == ["-a", "b c"])
        #expect(document.features.privateNetwork)
        let metadata = try #require(try document.containerMetadata())
        #expect(metadata.volume == specification.volume && metadata.owner == "alice")
        try validateAgainstLibvirtSchema(document.xml())
    }

    @Test func aFailedDefinitionTakesTheVolumeBack() async throws {
        let (host, template) = try await installed()
        await driver.failNext(with: LXCError(.hypervisor, "no"))
        // The first call asks whether the name is taken, so the fault is met before anything is built.
        await #expect(throws: LXCError.self) { try await host.createContainer(specification("a", template)) }
        #expect(try await primary.contents().volumes.isEmpty)
        var bad = try specification("b", template)
        bad.title = "control \u{1}"
        await #expect(throws: LXCError.self) { try await host.createContainer(bad) }
        #expect(try await primary.contents().volumes.isEmpty)
        #expect(try await host.containers().isEmpty)
    }

    @Test func aNameIsTakenOnce() async throws {
        let (host, template) = try await installed()
        _ = try await host.createContainer(specification("web1", template))
        let error = await #expect(throws: LXCError.self) {
            try await host.createContainer(specification("web1", template))
        }
        #expect(error?.code == .alreadyExists)
        #expect(try await primary.contents().volumes.count == 1)
    }

    @Test func aStubbornContainerIsKilledAfterItsGrace() async throws {
        let (host, template) = try await installed()
        let container = try await host.createContainer(specification("web1", template))
        try await container.start()
        await driver.setObeysShutdown(false, container.name)
        #expect(try await container.stop(within: .milliseconds(100)) == .forced)
        #expect(try await container.info().state == .shutOff)
    }

    @Test func aFailedStartGivesTheVolumeBack() async throws {
        let (host, template) = try await installed()
        let specification = try specification("web1", template)
        let container = try await host.createContainer(specification)
        let lease = try await primary.acquireLease(on: specification.volume, for: "host-2")
        let error = await #expect(throws: LXCError.self) { try await container.start() }
        #expect(error?.code == .inUse)
        try await primary.releaseLease(lease)
        try await container.start()
        let again = await #expect(throws: LXCError.self) { try await container.start() }
        #expect(again?.code == .invalidState)
    }

    @Test func manyContainersAtOnce() async throws {
        let (host, template) = try await installed()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<50 {
                let specification = try specification("c\(index)", template)
                group.addTask {
                    let container = try await host.createContainer(specification)
                    try await container.start()
                    try await container.stop(within: .seconds(5))
                    try await container.delete()
                }
            }
            try await group.waitForAll()
        }
        #expect(try await host.containers().isEmpty)
    }

    @Test func oneContainerCreatedByManyIsCreatedOnce() async throws {
        let (host, template) = try await installed()
        let created = await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    (try? await host.createContainer(specification("same", template))) != nil
                }
            }
            return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(created == 1)
        #expect(try await primary.contents().volumes.count == 1)
    }

    @Test func theServiceGivesBackVolumesOfContainersThatEnded() async throws {
        let (host, template) = try await installed()
        let specification = try specification("web1", template)
        let container = try await host.createContainer(specification)
        let service = Task { try await host.run() }
        try await container.start()
        await driver.exit(container.name)
        var isFree = false
        for _ in 0..<200 where !isFree {
            isFree = (try? await primary.acquireLease(on: specification.volume, for: "host-2")) != nil
            if !isFree { try await Task.sleep(for: .milliseconds(20)) }
        }
        #expect(isFree)
        service.cancel()
        try? await service.value
    }

    // MARK: Leases

    /// What another host is told of the volume's lease.
    private func lease(on volume: VolumeID) async -> String {
        do {
            _ = try await primary.renewLease(on: volume, for: "host-2", lasting: nil)
            return "none"
        } catch {
            return "\(error)"
        }
    }

    private func waitUntilLease(on volume: VolumeID, _ isExpected: (String) -> Bool) async throws {
        while await !isExpected(lease(on: volume)) { try await Task.sleep(for: .milliseconds(20)) }
    }

    /// A container that was started before the service is found, its lease renewed again and again, and kept for good when
    /// the service ends.
    @Test func theServiceRenewsLeases() async throws {
        let (host, template) = try await installed(leases: LeasePolicy(duration: .seconds(6)))
        let specification = try specification("web1", template)
        let container = try await host.createContainer(specification)
        // As a program that does not run the service starts it.
        try await makeHost().container(container.name).start()
        let volume = specification.volume
        #expect(await !lease(on: volume).contains("until"))
        let service = Task { try await host.run() }
        try await waitUntilLease(on: volume) { $0.contains("until") }
        let first = await lease(on: volume)
        try await waitUntilLease(on: volume) { $0.contains("until") && $0 != first }
        service.cancel()
        try? await service.value
        #expect(await !lease(on: volume).contains("until"))
        try await container.stop()
        #expect(await lease(on: volume).contains("no lease"))
    }

    @Test func aLostLeaseIsReported() async throws {
        let (losses, loss) = AsyncStream<(GuestName, LXCError)>.makeStream()
        let (host, template) = try await installed(
            leases: LeasePolicy(duration: .seconds(3)) { loss.yield(($0, $1)) })
        let specification = try specification("web1", template)
        let container = try await host.createContainer(specification)
        try await container.start()
        #expect(try await primary.breakLease(on: specification.volume))
        _ = try await primary.acquireLease(on: specification.volume, for: "host-2")
        let service = Task { try await host.run() }
        let reported = await losses.first { _ in true }
        #expect(reported?.0 == container.name)
        #expect(reported?.1.code == .inUse)
        #expect(reported?.1.message.contains("host-2") == true)
        service.cancel()
        try? await service.value
    }
}
