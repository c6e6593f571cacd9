// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
public import LXCCore
import Libvirt
public import LibvirtXML
public import Logging

/// Runs containers through libvirt's LXC driver.
public struct LibvirtContainers: LibvirtDriver {
    /// `libvirt-lxc`.
    public let name = "libvirt-lxc"
    /// The driver's connection.
    public let core: LibvirtCore

    /// Creates a driver that connects on first use.
    ///
    /// - Parameters:
    ///   - uri: a libvirt URI, local or remote (`lxc+ssh://host/`); nil is the system daemon's.
    ///   - logger: receives a message when the connection opens, is lost and closes.
    public init(uri: String? = nil, logger: Logger = Logger(label: "lxc-hypervisor.libvirt")) {
        core = LibvirtCore(.lxc, uri: uri, logger)
    }

    /// Creates a driver on a private daemon, which is started again where it has died.
    ///
    /// - Parameters:
    ///   - daemon: the daemon.
    ///   - logger: receives a message when the connection opens, is lost and closes.
    public init(daemon: PrivateLibvirtd, logger: Logger = Logger(label: "lxc-hypervisor.libvirt")) {
        core = LibvirtCore(.lxc, daemon: daemon, logger)
    }

    /// See ``LibvirtCore/hasProcessesHere``.
    var hasProcessesHere: Bool { core.hasProcessesHere }

    /// `lxc`.
    public func domainType() async throws -> DomainType { .lxc }

    /// Defines the domain; libvirt checks the document against its schema.
    public func define(_ domain: Domain) async throws {
        do {
            try await defineDomain(shown(domain))
        } catch {
            await tidy(after: domain)
            throw error
        }
    }

    /// Undefines the domain.
    public func undefine(_ guest: GuestName) async throws {
        let known = hasProcessesHere ? try await self.guest(guest) : nil
        try await connection.undefine(guest.description)
        if let known, !known.state.isActive { try await removeControlGroups(of: known) }
    }

    /// The document as libvirt gets it.
    private func shown(_ domain: Domain) async throws -> Domain {
        guard hasProcessesHere else { return domain }
        return try await BlockingPool.shared.run { _ in try InitLauncher.added(to: domain, .current()) }
    }

    /// Brings a document up to date that was written by an earlier version, or when the host had other control groups.
    ///
    /// - Returns: the UUID by which the launcher is found.
    private func refreshLauncher(of guest: GuestName) async throws -> UUID? {
        let stored = try await Domain(xml: connection.xml(of: guest.description, options: .inactive))
        let wanted = try await shown(stored)
        if wanted != stored { _ = try await connection.define(xml: wanted.xml(), validating: true) }
        return stored.uuid
    }

    /// Creates the defined domain.
    func startDomain(_ guest: GuestName) async throws {
        let uuid = hasProcessesHere ? try await refreshLauncher(of: guest) : nil
        try await confined(guest, uuid) { try await connection.start(guest.description) }
    }

    /// Creates the domain without defining it (CloudStack's way); libvirt checks the document against its schema.
    func createDomain(_ domain: Domain) async throws {
        let xml = try await shown(domain).xml()
        guard let guest = try? GuestName(domain.name) else {
            _ = try await connection.create(xml: xml, options: .validate)
            return
        }
        try await confined(guest, domain.uuid) { _ = try await connection.create(xml: xml, options: .validate) }
    }

    /// Signals the container's init. `/dev/initctl` inside the container is never used: a container could make it a link
    /// (CVE-2013-6456).
    public func shutdown(_ guest: GuestName) async throws { try await send(.terminate, to: guest) }
}

extension LibvirtContainers: GuestSignalling {
    /// Signals the container's init from this host directly, because libvirt may still hold the init of an earlier run,
    /// whose number may have been reused.
    public func send(_ signal: GuestSignal, to guest: GuestName) async throws {
        guard !hasProcessesHere else {
            return try await withInit(of: guest) { first, _ in try first.send(signal.rawValue) }
        }
        try await connection.send(signal: signal.rawValue, of: guest.description)
    }
}
