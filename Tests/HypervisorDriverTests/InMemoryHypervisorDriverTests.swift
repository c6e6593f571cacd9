// SPDX-License-Identifier: Apache-2.0

import Foundation
import HypervisorDriver
import LXCCore
import LXCTesting
import LibvirtXML
import TestSupport
import Testing

@Suite(.limited)
struct InMemoryHypervisorDriverTests {
    private let driver = InMemoryHypervisorDriver()
    private let name: GuestName

    init() throws { name = try GuestName("i-2-3-VM") }

    private func start() async throws {
        try await driver.define(Domain(type: .lxc, name: "\(name)", os: .container(initPath: "/sbin/init")))
        try await driver.start(name)
    }

    @Test func faultsAreThrownInOrderAndOnce() async throws {
        await driver.failNext(with: LXCError(.unavailable, "first"))
        await driver.failNext(with: LXCError(.timedOut, "second"))
        await expect(.unavailable) { try await driver.guests() }
        await expect(.timedOut) { try await start() }
        #expect(try await driver.guests().isEmpty)
    }

    @Test func documentsOfAnotherTypeAreRefused() async throws {
        await expect(.invalidArgument) {
            try await driver.define(Domain(type: .kvm, name: "x", os: .machine()))
        }
    }

    @Test func aChangeOfTheDefinitionWaitsForTheNextStart() async throws {
        try await start()
        var changed = try await driver.definition(of: name)
        changed.description = "changed"
        try await driver.define(changed)
        #expect(try await driver.definition(of: name).description == nil)
        try await driver.kill(name)
        #expect(try await driver.definition(of: name).description == "changed")
    }

    @Test func aGuestThatDoesNotObeyGoesOn() async throws {
        try await start()
        await driver.setObeysShutdown(false, name)
        try await driver.shutdown(name)
        #expect(try await driver.guest(name).state == .running)
        await driver.setObeysShutdown(true, name)
        try await driver.shutdown(name)
        #expect(try await driver.guest(name).state == .shutOff)
    }

    @Test func signalsAreKeptAndEndAGuestThatObeys() async throws {
        try await start()
        await driver.setObeysShutdown(false, name)
        try await driver.send(.hangup, to: name)
        #expect(try await driver.guest(name).state == .running)
        await driver.setObeysShutdown(true, name)
        try await driver.send(.terminate, to: name)
        #expect(try await driver.guest(name).state == .shutOff)
        #expect(await driver.signals(to: name) == [.hangup, .terminate])
    }

    @Test func endsOfItsOwnAreToldApart() async throws {
        try await start()
        var events = try await driver.events().makeAsyncIterator()
        await driver.crash(name)
        #expect(try await driver.guest(name).state == .crashed)
        #expect(try await events.next() == GuestEvent(guest: name, kind: .crashed))
        try await driver.start(name)
        await driver.exit(name)
        #expect(try await driver.guest(name).state == .shutOff)
        #expect(try await events.next()?.kind == .started)
        #expect(try await events.next()?.kind == .stopped)
    }

    @Test func whatHappensWhileTheHypervisorIsLostIsToldAfterwards() async throws {
        try await start()
        var events = try await driver.events().makeAsyncIterator()
        await driver.disconnect()
        await expect(.unavailable) { try await driver.guest(name) }
        await driver.exit(name)
        await driver.reconnect()
        #expect(try await driver.guest(name).state == .shutOff)
        #expect(try await events.next() == GuestEvent(guest: name, kind: .stopped))
    }

    @Test func consolesCarryBytesBothWays() async throws {
        try await start()
        let console = try await driver.openConsole(of: name)
        try await console.write(Array("ls\n".utf8))
        #expect(await driver.typed(atConsoleOf: name) == Array("ls\n".utf8))
        await driver.write(Array("bin".utf8), onConsoleOf: name)
        await driver.write(Array(" etc".utf8), onConsoleOf: name)
        try await driver.kill(name)
        var output: [UInt8] = []
        for try await bytes in console.output { output += bytes }
        #expect(String(decoding: output, as: UTF8.self) == "bin etc")
    }

    @Test func statisticsAreTheTestsToSay() async throws {
        try await start()
        let statistics = GuestStatistics(
            cpuTime: .nanoseconds(7), virtualCPUs: 2, memoryUsed: .mebibytes(1), memoryLimit: .mebibytes(2))
        await driver.setStatistics(statistics, of: name)
        #expect(try await driver.statistics(of: name) == statistics)
    }

    @Test func idMapsAreForContainers() async throws {
        let driver = InMemoryHypervisorDriver(type: .kvm)
        var domain = Domain(type: .kvm, name: "x", os: .machine())
        domain.idMap = try IDMap(host: 100_000, count: 65_536)
        let mapped = domain
        await expect(.unsupported) { try await driver.define(mapped) }
    }
}
