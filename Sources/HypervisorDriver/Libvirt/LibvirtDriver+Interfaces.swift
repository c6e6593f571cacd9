// SPDX-License-Identifier: Apache-2.0

import LXCCore
import Libvirt
public import LibvirtXML

extension LibvirtDriver {
    // MARK: Network filters

    /// Defines the filter.
    public func define(_ filter: NetworkFilter) async throws {
        try await connection.defineNetworkFilter(xml: filter.xml())
    }

    /// Undefines the filter.
    public func undefineNetworkFilter(_ name: String) async throws { try await connection.undefineNetworkFilter(name) }

    // MARK: Interfaces

    /// Attaches the device to the definition, and to the running domain by `attachLive`, which learns whether it is
    /// attached there already.
    func connect(
        _ interface: Interface, to guest: GuestName,
        _ attachLive: (_ mac: MACAddress, _ isAttached: Bool) async throws -> Void
    ) async throws {
        guard let mac = interface.mac else {
            throw LXCError(
                .invalidArgument,
                "an interface attached to \(guest) needs a hardware address, by which it is found again")
        }
        let name = guest.description
        let summary = try await connection.summary(of: name)
        let defined = summary.isPersistent ? try await present(interface, mac, of: guest, .inactive) : nil
        // The running domain first: what cannot be attached to it must not come with its next start either.
        if summary.isActive {
            try await attachLive(mac, present(interface, mac, of: guest) != nil)
        }
        if summary.isPersistent, defined == nil {
            try await connection.attachDevice(xml: interface.xml(), to: name, affecting: .config)
        }
    }

    /// The interface that has the address already; nil if there is none.
    ///
    /// - Throws: `LXCError` `alreadyExists` when it is another one, by its name in the guest or its network: that must not
    ///   be touched.
    private func present(
        _ interface: Interface, _ mac: MACAddress, of guest: GuestName, _ options: XMLOptions = []
    ) async throws -> Interface? {
        guard let present = try await self.interface(mac, of: guest, options) else { return nil }
        guard present.guestDevice == interface.guestDevice, present.kind == interface.kind else {
            throw LXCError(
                .alreadyExists,
                "\(guest) has the hardware address \(mac) already, on \(present.guestDevice ?? "another interface")")
        }
        return present
    }

    /// Detaches the device from the running domain, unless `checkLive` throws, and from its definition.
    func disconnect(
        _ address: MACAddress, from guest: GuestName, _ checkLive: (Interface) throws -> Void
    ) async throws {
        let name = guest.description
        let summary = try await connection.summary(of: name)
        if summary.isActive, let interface = try await interface(address, of: guest) {
            try checkLive(interface)
            try await detach(interface, from: name, .live)
        }
        if summary.isPersistent, let interface = try await interface(address, of: guest, .inactive) {
            try await detach(interface, from: name, .config)
        }
    }

    /// The interface of a hardware address in one of the domain's documents.
    private func interface(
        _ mac: MACAddress, of guest: GuestName, _ options: XMLOptions = []
    ) async throws -> Interface? {
        let document = try await connection.xml(of: guest.description, options: options)
        return try Domain(xml: document).interfaces.first { $0.mac == mac }
    }

    /// Detaches a device; succeeds if it disappears in the meantime.
    func detach(_ interface: Interface, from domain: String, _ impact: ModificationImpact) async throws {
        do {
            try await connection.detachDevice(xml: interface.xml(), from: domain, affecting: impact)
        } catch let error as LXCError where error.code == .notFound {
            _ = try await connection.summary(of: domain)  // The domain itself must be there.
        }
    }
}
