// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
public import LXCCore
import Libvirt
public import LibvirtXML
import Logging

/// Runs guests through libvirt: what ``LibvirtContainers`` and ``LibvirtMachines`` have in common.
///
/// The connection opens with the first call and again after the daemon was restarted.
public protocol LibvirtDriver: TransientGuests, GuestShutdown, GuestSuspension, GuestAutostart, GuestConsoles,
    GuestInterfaces, NetworkFiltering, GuestLimiting
{
    /// The driver's connection.
    var core: LibvirtCore { get }
}

extension LibvirtDriver {
    var connection: LibvirtConnection { core.connection }
    var logger: Logger { core.logger }

    /// Connects now, not with the first call.
    ///
    /// - Throws: `LXCError` `unavailable` naming the URI, `permissionDenied`.
    public func open() async throws { try await connection.open() }

    /// The version of libvirt on the other side, such as `9.0.0`.
    ///
    /// - Throws: `LXCError` `unavailable`.
    public func version() async throws -> String { try await connection.libraryVersion().description }

    /// Closes the connection for good; guests go on.
    public func close() async { await connection.close() }

    // MARK: Lifecycle

    /// Defines a document as libvirt gets it; libvirt checks it against its schema.
    func defineDomain(_ domain: Domain) async throws {
        do {
            _ = try await connection.define(xml: domain.xml(), validating: true)
        } catch let error as LXCError where error.code == .hypervisor {
            // libvirt has no error number of its own for this, so the guests are asked.
            let other = try await guests().first { ($0.name.description == domain.name) != ($0.uuid == domain.uuid) }
            guard let other else { throw error }
            throw LXCError(
                .alreadyExists,
                "cannot define \(domain.name.escapedForDisplay): there is the guest \(other.name) with the UUID "
                    + "\(other.uuid.uuidString.lowercased()); give both its name and its UUID, or neither",
                cause: error)
        }
    }

    /// Freezes the domain.
    public func suspend(_ guest: GuestName) async throws {
        try await connection.suspend(guest.description)
    }

    /// Thaws the domain.
    public func resume(_ guest: GuestName) async throws {
        try await connection.resume(guest.description)
    }

    /// Whether libvirtd starts the domain when it starts itself, once after each start of the host.
    public func isAutostarted(_ guest: GuestName) async throws -> Bool {
        try await connection.isAutostarted(guest.description)
    }

    /// Has libvirtd start the domain when it starts itself.
    public func setAutostart(_ isOn: Bool, of guest: GuestName) async throws {
        try await connection.setAutostart(guest.description, isOn)
    }

    // MARK: Reading

    /// Lists active and inactive domains.
    public func guests() async throws -> [Guest] {
        try await connection.domains().compactMap(Guest.init).sorted { $0.name < $1.name }
    }

    /// Looks the domain up.
    public func guest(_ name: GuestName) async throws -> Guest {
        let summary = try await connection.summary(of: name.description)
        guard let guest = Guest(summary) else {
            throw LXCError(.hypervisor, "libvirt answers for \(name) with another domain's name")
        }
        return guest
    }

    /// Reads the domain's document.
    public func definition(of guest: GuestName) async throws -> Domain {
        try await InitLauncher.removed(from: Domain(xml: connection.xml(of: guest.description)))
    }

    /// Opens the domain's first console.
    public func openConsole(of guest: GuestName) async throws -> any GuestConsole {
        try await LibvirtConsole(stream: connection.openConsole(of: guest.description))
    }

    /// Replaces the namespace's element in the domain's metadata, live and stored.
    public func setMetadata(_ element: XMLFragment?, namespace: String, of guest: GuestName) async throws {
        let impact = try await connection.summary(of: guest.description).impact
        try await connection.setMetadata(
            element?.xmlWithoutNamespace(), of: guest.description, namespace: namespace,
            prefix: element?.name.prefix ?? "metadata", affecting: impact)
    }
}

extension DomainSummary {
    /// The configurations a change of the domain has to affect: live and stored, as far as they exist.
    var impact: ModificationImpact {
        var impact: ModificationImpact = []
        if isActive { impact.insert(.live) }
        if isPersistent { impact.insert(.config) }
        return impact
    }
}
