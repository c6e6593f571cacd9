import FoundationEssentials
import HypervisorDriver
import LXCCore
import LibvirtXML
import Logging
import VifDriver

/// What a guest has of networks: bridges, filters and interfaces made before it, and taken back after it.
extension GuestKeeper {
    /// Runs `body`, which makes or plugs the NICs, with an address each, none of which another guest of this host has, nor
    /// gets meanwhile. A NIC without one gets its own: the same whenever it is asked for, and locally administered.
    ///
    /// - Throws: `LXCError` `alreadyExists` for an address that is another interface's, `inUse` for one that is just being
    ///   given to another; what `body` throws.
    func withAddresses<Value>(
        for nics: [NIC], of guest: UUID, _ body: ([NIC]) async throws -> Value
    ) async throws -> Value {
        guard !nics.isEmpty else { return try await body(nics) }
        var choice = try AddressChoice(nics, of: guest)
        while true {
            let chosen = choice.nics
            let outcome = try await register.addresses.hold(chosen.compactMap(\.mac)) { () -> Value? in
                // What is reserved is looked at last, so nobody is between the two.
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

    /// Runs `body`, which makes a guest known, with its NICs connected and their addresses its own. After a failure what was
    /// made for them is taken back.
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

    /// Makes what the NICs of a guest that is to be made need on the host. Either all of it is done or nothing.
    func connect(_ nics: [NIC], of guest: GuestName) async throws -> [Interface] {
        let interfaces = try await vifs.plug(nics, of: guest)
        do {
            try await defineFilters(nics, of: guest)
        } catch {
            await Task { await takeBack(interfaces, of: guest) }.value
            throw error
        }
        return interfaces
    }

    func defineFilters(_ nics: [NIC], of guest: GuestName) async throws {
        for filter in try nics.compactMap({ try $0.networkFilter(of: guest) }) {
            try await driver.filtering.define(filter)
        }
    }

    /// Releases what ``connect(_:of:)`` made for a guest that was not made, as far as that goes: for use after a failure,
    /// which must not be hidden by another. Filters, and devices of the host, have the name of the guest they are for. So
    /// where there is one of the name, made by another program meanwhile, they are that one's, and stay.
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

    /// The same, unless another program's guest has the name by then: it has filters and devices of the same names. In a
    /// task of its own, because it must complete in a cancelled one too.
    func takeBack(_ interfaces: [Interface], of name: GuestName, _ uuid: UUID) async {
        await Task {
            if let guest = try? await driver.guest(name), guest.uuid != uuid { return }
            await takeBack(interfaces, of: name)
        }.value
    }

    /// Removes the bridges nobody needs any more, and the filters made for the interfaces.
    ///
    /// - Throws: the first failure, after everything was tried.
    func release(_ interfaces: [Interface]) async throws {
        var failure: (any Error)?
        do { try await vifs.unplug(interfaces) } catch { failure = error }
        for interface in interfaces {
            guard let filter = interface.ownFilter else { continue }
            do { try await driver.filtering.undefineNetworkFilter(filter) } catch { failure = failure ?? error }
        }
        if let failure { throw failure }
    }

    /// Makes the networks of a container again before its start: bridges do not outlive the host's reboot, nor the last
    /// guest on them. And has its security enforced again, or throws: rules do not outlive the reboot either, and whether
    /// the kernel applies them is a setting that can change.
    func reconnect(_ domain: Domain, of guest: GuestName) async throws {
        let nics = try connectedNICs(of: domain, guest)
        _ = try await vifs.plug(nics, of: guest)
        try await defineFilters(nics, of: guest)
    }

    /// The NICs a container has, as far as their networks and their security are concerned.
    ///
    /// - Throws: `LXCError` `invalidState` where it is not known what one that has security may do.
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
    /// The filter that was made for this interface alone.
    var ownFilter: String? {
        guard let name = filter?.filter, name.hasPrefix(NIC.networkFilterPrefix) else { return nil }
        return name
    }
}
