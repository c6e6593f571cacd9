// SPDX-License-Identifier: Apache-2.0

import HypervisorDriver
import LXCCore
import LibvirtXML
import Logging

/// All guests of a host, containers and system VMs: of two no name and no hardware address is the same, because devices and
/// filters of the host are named by the guest, and bridges tell guests apart by their addresses.
struct GuestRegister: Sendable {
    /// How long the hypervisor of the other kind of guests has to answer. Many hosts have none.
    private static let patience = Duration.seconds(10)

    /// The drivers of the host, one for each kind of guest.
    let hypervisors: [(kind: GuestKind, driver: any HypervisorDriver)]
    /// The addresses of interfaces that are being made.
    let addresses: AddressReservations
    let logger: Logger

    /// Refuses a name that a guest of the host has.
    ///
    /// - Parameters:
    ///   - name: the name.
    ///   - kind: what the guest is that is to have it.
    /// - Throws: `LXCError` `alreadyExists` naming the owner.
    func requireFree(_ name: GuestName, for kind: GuestKind) async throws {
        for (owner, driver) in hypervisors {
            let guest = try await answer(of: owner, to: kind) { try await driver.guestIfAny(name) }
            if guest.flatMap(\.self) != nil {
                throw LXCError(
                    .alreadyExists, "there is a \(owner) \(name) already; destroy it or take another name")
            }
        }
    }

    /// Whose the hardware addresses of the host's guests are.
    ///
    /// - Parameter kind: what the guest is that is to have one.
    /// - Returns: the owners, by address.
    /// - Throws: what the drivers throw.
    func owners(for kind: GuestKind) async throws -> [MACAddress: String] {
        var owners: [MACAddress: String] = [:]
        for (owner, driver) in hypervisors {
            let found = try await answer(of: owner, to: kind) {
                var found: [MACAddress: String] = [:]
                for guest in try await driver.guests() {
                    // A guest that goes meanwhile needs no address.
                    let interfaces = try await driver.definitionIfAny(of: guest.name)?.interfaces ?? []
                    for mac in interfaces.compactMap(\.mac) { found[mac] = "\(owner) \(guest.name)" }
                }
                return found
            }
            owners.merge(found ?? [:]) { first, _ in first }
        }
        return owners
    }

    /// What a hypervisor says. That of the other kind of guests is done without where it is not there.
    private func answer<Value: Sendable>(
        of owner: GuestKind, to kind: GuestKind, _ ask: @escaping @Sendable () async throws -> Value
    ) async throws -> Value? {
        guard owner != kind else { return try await ask() }
        do {
            if let value = try await within(Self.patience, ask) { return value }
            logger.notice("the hypervisor of the \(owner)s does not answer; their names and addresses are not known")
        } catch let error as LXCError where error.code == .unavailable {
            logger.debug("no hypervisor answers for the \(owner)s", metadata: ["error": "\(error)"])
        }
        return nil
    }
}
