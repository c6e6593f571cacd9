// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import HypervisorDriver
import LXCCore
import LibvirtXML
import Logging
import VifDriver

/// A guest's network resources: the bridges, filters and interfaces created before it and released after it.
extension GuestKeeper {
    /// Runs `body`, which creates or plugs the NICs, each with an address that no other guest of this host has or is
    /// given meanwhile. A NIC without an address gets a locally administered one that is the same on every call.
    ///
    /// - Throws: `LXCError` `alreadyExists` if an address belongs to another interface, `inUse` if it is currently
    ///   reserved for another; errors thrown by `body`.
    func withAddresses<Value>(
        for nics: [NIC], of guest: UUID, _ body: ([NIC]) async throws -> Value
    ) async throws -> Value {
        guard !nics.isEmpty else { return try await body(nics) }
        var choice = try AddressChoice(nics, of: guest)
        while true {
            let chosen = choice.nics
            let outcome = try await register.addresses.hold(chosen.compactMap(\.mac)) { () -> Value? in
                // Reservations are checked last, which leaves no gap between the two checks.
                let isFree = try await choice.avoid(register.owners(for: kind))
                return isFree ? try await body(chosen) : nil
            }
            switch outcome {
            case .done(let value?): return value
            case .done(nil): break
            case .reserved(let mac): try choice.avoidReserved(mac)
            }
        }
    }

    /// Runs `body`, which defines a guest, with its NICs connected and their addresses reserved. If it fails, releases
    /// the resources created for the NICs.
    func withNetwork<Value>(
        _ nics: [NIC], of name: GuestName, _ uuid: UUID, _ body: ([Interface]) async throws -> Value
    ) async throws -> Value {
        try await withAddresses(for: nics, of: uuid) { nics in
            let interfaces = try await connect(nics, of: name)
            do {
                return try await body(interfaces)
            } catch {
                await takeBack(interfaces, of: name, uuid)
                throw error
            }
        }
    }

    /// Creates the host resources that the NICs of a new guest need. All or nothing.
    func connect(_ nics: [NIC], of guest: GuestName) async throws -> [Interface] {
        let interfaces = try await vifs.plug(nics, of: guest)
        do {
            try await defineFilters(nics, of: guest)
        } catch {
            await withoutCancellation { [self] in await takeBack(interfaces, of: guest) }
            throw error
        }
        return interfaces
    }

    func defineFilters(_ nics: [NIC], of guest: GuestName) async throws {
        for filter in try nics.compactMap({ try $0.networkFilter(of: guest) }) {
            try await driver.filtering.define(filter)
        }
    }

    /// Releases, on a best-effort basis, what ``connect(_:of:)`` created for a guest that was not created. It throws
    /// nothing, so as not to hide the original failure. Filters and host devices are named after their guest. If
    /// another program has created a guest of that name meanwhile, they belong to that guest and are kept.
    func takeBack(_ interfaces: [Interface], of guest: GuestName) async {
        do {
            guard try await self.guest(guest) == nil else { return }
            try await release(interfaces)
        } catch {
            logger.warning(
                "cannot take back the network of a \(kind)",
                metadata: ["container": "\(guest)", "error": "\(error)"])
        }
    }

    /// Does the same, unless the name now belongs to another program's guest, whose filters and devices have the same
    /// names. Runs in its own task because it must complete even if the current task is cancelled.
    func takeBack(_ interfaces: [Interface], of name: GuestName, _ uuid: UUID) async {
        await withoutCancellation { [self] in
            if let guest = try? await driver.guest(name), guest.uuid != uuid { return }
            await takeBack(interfaces, of: name)
        }
    }

    /// Removes bridges that are no longer used and the filters created for the interfaces.
    ///
    /// - Throws: the first failure, after everything has been tried.
    func release(_ interfaces: [Interface]) async throws {
        var failure: (any Error)?
        do { try await vifs.unplug(interfaces) } catch { failure = error }
        for interface in interfaces {
            guard let filter = interface.ownFilter else { continue }
            do { try await driver.filtering.undefineNetworkFilter(filter) } catch { failure = failure ?? error }
        }
        if let failure { throw failure }
    }

    /// Recreates a container's networks before it starts, because a bridge outlives neither a host reboot nor the last
    /// guest on it. Also enforces the container's security again, or throws: rules do not outlive a reboot either, and
    /// whether the kernel applies them is a setting that can change.
    func reconnect(_ domain: Domain, of guest: GuestName) async throws {
        let nics = try connectedNICs(of: domain, guest)
        _ = try await vifs.plug(nics, of: guest)
        try await defineFilters(nics, of: guest)
    }

    /// The container's NICs, with their networks and security only.
    ///
    /// - Throws: `LXCError` `invalidState` if the rules of a NIC that has security are unknown.
    func connectedNICs(of domain: Domain, _ guest: GuestName) throws -> [NIC] {
        let networks = try domain.containerMetadata()?.networks ?? []
        var nics: [NIC] = []
        for interface in domain.interfaces {
            let network = networks.first { interface.guestDevice == "eth\($0.device)" }
            if let nic = try network.flatMap({ try NIC($0, of: interface) }) { nics.append(nic) }
            guard interface.ownFilter == nil || network?.security != nil else {
                throw LXCError(
                    .invalidState,
                    "it is not known what \(interface.guestDevice ?? "an interface") of \(guest) may send and receive; unplug "
                        + "it and plug it again with security")
            }
        }
        return nics
    }
}

extension Interface {
    /// The filter created for this interface alone.
    var ownFilter: String? {
        guard let name = filter?.filter, name.hasPrefix(NIC.networkFilterPrefix) else { return nil }
        return name
    }
}
