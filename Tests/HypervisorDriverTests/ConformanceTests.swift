// SPDX-License-Identifier: Apache-2.0

import HypervisorDriver
import LXCCore
import LXCTesting
import LibvirtXML
import TestSupport
import Testing

@Suite(.limited)
struct ConformanceTests {
    private static func domain(_ type: DomainType) -> @Sendable (GuestName) async throws -> Domain {
        { name in
            var domain = Domain(type: type, name: name.description, os: .container(initPath: "/sbin/init"))
            domain.memory = .mebibytes(64)
            domain.virtualCPUs = VirtualCPUs(count: 1)
            return domain
        }
    }

    private static let inMemory = HypervisorDriverConformance(makeDomain: domain(.lxc)) { check in
        try await check(InMemoryHypervisorDriver())
    }

    private static let limited = HypervisorDriverConformance(makeDomain: domain(.kvm)) { check in
        try await check(CoreHypervisorDriver(InMemoryHypervisorDriver(type: .kvm)))
    }

    /// libvirt's own test driver, which has everything but consoles, counters, signals, network filters, interfaces that
    /// come later, and the right error numbers for what makes no sense in a state.
    private static let libvirt = HypervisorDriverConformance(makeDomain: domain(.test)) { check in
        let driver = LibvirtContainers(uri: "test:///default")
        do {
            try await check(driver)
            await driver.close()
        } catch {
            await driver.close()
            throw error
        }
    }

    @Test(
        arguments: libvirt.checks.filter { check in
            ![
                "console", "statistics", "asked to end", "makes no sense", "suspended and resumed", "signal", "limits",
                "interface", "filter",
            ].contains { check.rule.contains($0) }
        })
    func libvirtDriver(_ check: ConformanceCheck) async throws { try await check.run() }

    @Test(arguments: inMemory.checks)
    func inMemoryDriver(_ check: ConformanceCheck) async throws { try await check.run() }

    @Test(arguments: limited.checks)
    func inMemoryDriverWithoutAbilities(_ check: ConformanceCheck) async throws { try await check.run() }

    @Test func theSuiteFindsADriverThatLies() async {
        let broken = HypervisorDriverConformance(timeout: .milliseconds(200), makeDomain: Self.domain(.lxc)) { check in
            try await check(ForgetfulDriver())
        }
        let failures = await broken.checks.asyncFilter { check in
            do {
                try await check.run()
                return false
            } catch { return error is ConformanceFailure }
        }
        #expect(failures.map(\.rule).contains("a started guest runs until it is killed, and can be started again"))
        #expect(failures.map(\.rule).contains("every change is told as an event, in order"))
        await #expect(throws: ConformanceFailure.self) { try await broken.run() }
    }
}

extension Sequence where Element: Sendable {
    fileprivate func asyncFilter(_ isIncluded: (Element) async -> Bool) async -> [Element] {
        var result: [Element] = []
        for element in self where await isIncluded(element) { result.append(element) }
        return result
    }
}

/// A driver whose guests never start and whose events never come.
private struct ForgetfulDriver: HypervisorDriver {
    private let driver = InMemoryHypervisorDriver()
    let name = "forgetful"

    func domainType() async throws -> DomainType { try await driver.domainType() }
    func define(_ domain: Domain) async throws { try await driver.define(domain) }
    func undefine(_ guest: GuestName) async throws { try await driver.undefine(guest) }
    func start(_ guest: GuestName) async throws { _ = try await driver.guest(guest) }
    func kill(_ guest: GuestName) async throws { try await driver.kill(guest) }
    func guests() async throws -> [Guest] { try await driver.guests() }
    func guest(_ name: GuestName) async throws -> Guest { try await driver.guest(name) }
    func definition(of guest: GuestName) async throws -> Domain { try await driver.definition(of: guest) }
    func statistics(of guest: GuestName) async throws -> GuestStatistics {
        try await driver.statistics(of: guest)
    }
    func events() async throws -> AsyncThrowingStream<GuestEvent, any Error> {
        AsyncThrowingStream { _ in }
    }
    func setMetadata(_ element: XMLFragment?, namespace: String, of guest: GuestName) async throws {
        try await driver.setMetadata(element, namespace: namespace, of: guest)
    }
}
