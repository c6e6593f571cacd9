// SPDX-License-Identifier: Apache-2.0

import CloudStack
import Foundation
import LXCHypervisor
import LXCTesting
import LibvirtXML
import TestSupport
import Testing

/// The power report of CloudStack's hosts.
@Suite(.limited) struct PowerReportTests {
    private func guest(_ name: String, on driver: InMemoryHypervisorDriver, _ type: DomainType) async throws {
        var domain = Domain(type: type, name: name, os: .container(initPath: "/sbin/init"))
        domain.memory = .mebibytes(64)
        try await driver.define(domain)
    }

    @Test func oneDriversFailureLeavesTheOthersGuestsAlone() async throws {
        let containers = InMemoryHypervisorDriver()
        let machines = InMemoryHypervisorDriver(type: .kvm)
        for name in ["i-2-3-VM", "i-2-4-VM", "i-2-5-VM"] { try await guest(name, on: containers, .lxc) }
        try await guest("v-1-VM", on: machines, .kvm)
        try await containers.start(GuestName("i-2-3-VM"))
        try await containers.start(GuestName("i-2-5-VM"))
        await containers.crash(try GuestName("i-2-5-VM"))
        try await machines.start(GuestName("v-1-VM"))
        let drivers: [any HypervisorDriver] = [containers, machines]
        let whole = await PowerReport.collect(from: drivers, hostName: "host-1")
        #expect(whole.isComplete)
        #expect(whole.guests.map(\.name.description) == ["i-2-3-VM", "i-2-4-VM", "i-2-5-VM", "v-1-VM"])
        #expect(whole.guests.map(\.power) == [.on, .off, .unknown, .on])
        let json = String(decoding: try JSONEncoder().encode(whole), as: UTF8.self)
        #expect(json.contains("PowerOn") && json.contains("PowerOff") && json.contains("PowerUnknown"))

        await containers.disconnect()
        let partial = await PowerReport.collect(from: drivers, hostName: "host-1")
        #expect(!partial.isComplete)
        #expect(partial.failures.count == 1)
        #expect(partial.failures.first?.reason.contains("disconnected") == true)
        #expect(partial.guests.map(\.name.description) == ["v-1-VM"])
        #expect(partial.guests.map(\.power) == [.on])
    }

    @Test(
        arguments: zip(
            [GuestState.running, .blocked, .paused, .shutOff, .shuttingDown, .noState, .crashed],
            ["PowerOn", "PowerOn", "PowerOn", "PowerOff", "PowerOff", "PowerUnknown", "PowerUnknown"]))
    func statesAreMappedAsCloudStackDoes(state: GuestState, power: String) {
        #expect(PowerReport.Power(state).rawValue == power)
    }
}
