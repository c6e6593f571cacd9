// SPDX-License-Identifier: Apache-2.0

import HypervisorDriver
import LXCHypervisor
import LXCTesting
import LibvirtXML

/// A driver in memory that does something else as well, before or after one of its operations.
struct InterruptedDriver: TransientGuests, GuestShutdown, GuestSignalling, GuestSuspension, GuestAutostart,
    GuestConsoles,
    GuestInterfaces, NetworkFiltering, GuestLimiting
{
    enum Moment: Hashable, CaseIterable {
        case beforeDefine, afterDefine, beforeStart, afterStart, beforeShutdown, beforeAttach, afterAttach,
            beforeMetadata
    }

    let base: InMemoryHypervisorDriver
    let moment: Moment
    let interruption: @Sendable (InMemoryHypervisorDriver) async throws -> Void

    var name: String { base.name }
    var sharesGuests: Bool { base.sharesGuests }

    private func at(_ now: Moment) async throws {
        if now == moment { try await interruption(base) }
    }

    func define(_ domain: Domain) async throws {
        try await at(.beforeDefine)
        try await base.define(domain)
        try await at(.afterDefine)
    }

    func start(_ guest: GuestName) async throws {
        try await at(.beforeStart)
        try await base.start(guest)
        try await at(.afterStart)
    }

    func shutdown(_ guest: GuestName) async throws {
        try await at(.beforeShutdown)
        try await base.shutdown(guest)
    }

    func send(_ signal: GuestSignal, to guest: GuestName) async throws {
        try await at(.beforeShutdown)
        try await base.send(signal, to: guest)
    }

    func domainType() async throws -> DomainType { try await base.domainType() }
    func undefine(_ guest: GuestName) async throws {
        try Task.checkCancellation()
        try await base.undefine(guest)
    }
    func kill(_ guest: GuestName) async throws { try await base.kill(guest) }
    func suspend(_ guest: GuestName) async throws { try await base.suspend(guest) }
    func resume(_ guest: GuestName) async throws { try await base.resume(guest) }
    func guests() async throws -> [Guest] { try await base.guests() }
    func guest(_ name: GuestName) async throws -> Guest { try await base.guest(name) }
    func definition(of guest: GuestName) async throws -> Domain { try await base.definition(of: guest) }
    func statistics(of guest: GuestName) async throws -> GuestStatistics { try await base.statistics(of: guest) }
    func events() async throws -> AsyncThrowingStream<GuestEvent, any Error> { try await base.events() }
    func startTransient(_ domain: Domain) async throws {
        try await at(.beforeStart)
        try await base.startTransient(domain)
        try await at(.afterStart)
    }
    func openConsole(of guest: GuestName) async throws -> any GuestConsole {
        try await base.openConsole(of: guest)
    }
    func limits(of guest: GuestName) async throws -> GuestLimits { try await base.limits(of: guest) }
    func setLimits(_ change: GuestLimits.Change, of guest: GuestName) async throws {
        try await base.setLimits(change, of: guest)
    }
    func isAutostarted(_ guest: GuestName) async throws -> Bool { try await base.isAutostarted(guest) }
    func setAutostart(_ isOn: Bool, of guest: GuestName) async throws {
        try await base.setAutostart(isOn, of: guest)
    }
    func setMetadata(_ element: XMLFragment?, namespace: String, of guest: GuestName) async throws {
        try await at(.beforeMetadata)
        try await base.setMetadata(element, namespace: namespace, of: guest)
    }
    func attach(_ interface: Interface, to guest: GuestName) async throws {
        try await at(.beforeAttach)
        try await base.attach(interface, to: guest)
        try await at(.afterAttach)
    }
    func detach(_ address: MACAddress, from guest: GuestName) async throws {
        try await base.detach(address, from: guest)
    }
    func define(_ filter: NetworkFilter) async throws { try await base.define(filter) }
    func undefineNetworkFilter(_ name: String) async throws { try await base.undefineNetworkFilter(name) }
}
