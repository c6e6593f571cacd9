// SPDX-License-Identifier: Apache-2.0

import HypervisorDriver
import LXCCore
import LibvirtXML
import Logging

/// All guests of a host, containers and system VMs. Names and hardware addresses are unique among them, because host
/// devices and filters are named after the guest and bridges distinguish guests by their addresses.
struct GuestRegister: Sendable {
    /// How long to wait for the hypervisor of the other kind of guests to answer. Many hosts have none.
    private static let patience = Duration.seconds(10)

    /// The drivers of the host, one for each kind of guest.
    let hypervisors: [(kind: GuestKind, driver: any HypervisorDriver)]
    /// The addresses of interfaces that are being created.
    let addresses: AddressReservations
    let logger: Logger

    /// Throws if a guest of the host already has the name.
    ///
    /// - Parameters:
    ///   - name: the name.
    ///   - kind: the kind of the guest that will have the name.
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

    /// The owners of the hardware addresses of the host's guests.
    ///
    /// - Parameter kind: the kind of the guest that will have an address.
    /// - Returns: the owners, by address.
    /// - Throws: the errors of the drivers.
    func owners(for kind: GuestKind) async throws -> [MACAddress: String] {
        var owners: [MACAddress: String] = [:]
        for (owner, driver) in hypervisors {
            let found = try await answer(of: owner, to: kind) {
                var found: [MACAddress: String] = [:]
                for guest in try await driver.guests() {
                    // A guest that is removed in the meantime needs no address.
                    let interfaces = try await driver.definitionIfAny(of: guest.name)?.interfaces ?? []
                    for mac in interfaces.compactMap(\.mac) { found[mac] = "\(owner) \(guest.name)" }
                }
                return found
            }
            owners.merge(found ?? [:]) { first, _ in first }
        }
        return owners
    }

    /// The answer of a hypervisor. The hypervisor of the other kind of guests is skipped if it is not available.
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
