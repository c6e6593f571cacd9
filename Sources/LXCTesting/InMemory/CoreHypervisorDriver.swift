// SPDX-License-Identifier: Apache-2.0

public import HypervisorDriver
public import LXCCore
public import LibvirtXML

/// A driver reduced to what every driver has, for unit tests of how a program copes without the abilities.
public struct CoreHypervisorDriver: HypervisorDriver {
    private let base: any HypervisorDriver

    /// Creates a driver that passes the core's calls on to another, and nothing else.
    public init(_ base: any HypervisorDriver) { self.base = base }

    /// The other driver's name.
    public var name: String { base.name }
    /// As the other driver says.
    public var sharesGuests: Bool { base.sharesGuests }

    /// As the other driver.
    public func domainType() async throws -> DomainType { try await base.domainType() }
    /// As the other driver.
    public func define(_ domain: Domain) async throws { try await base.define(domain) }
    /// As the other driver.
    public func undefine(_ guest: GuestName) async throws { try await base.undefine(guest) }
    /// As the other driver.
    public func start(_ guest: GuestName) async throws { try await base.start(guest) }
    /// As the other driver.
    public func kill(_ guest: GuestName) async throws { try await base.kill(guest) }
    /// As the other driver.
    public func guests() async throws -> [Guest] { try await base.guests() }
    /// As the other driver.
    public func guest(_ name: GuestName) async throws -> Guest { try await base.guest(name) }
    /// As the other driver.
    public func definition(of guest: GuestName) async throws -> Domain { try await base.definition(of: guest) }
    /// As the other driver.
    public func statistics(of guest: GuestName) async throws -> GuestStatistics {
        try await base.statistics(of: guest)
    }
    /// As the other driver.
    public func statistics() async throws -> [GuestName: GuestStatistics] { try await base.statistics() }
    /// As the other driver.
    public func events() async throws -> AsyncThrowingStream<GuestEvent, any Error> { try await base.events() }
    /// As the other driver.
    public func setMetadata(_ element: XMLFragment?, namespace: String, of guest: GuestName) async throws {
        try await base.setMetadata(element, namespace: namespace, of: guest)
    }
}
