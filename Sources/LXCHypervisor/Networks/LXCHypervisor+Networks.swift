import FoundationEssentials
import HypervisorDriver
import LXCCore
import LibvirtXML
import Logging
import VifDriver

/// What a container has of networks: bridges, filters and interfaces made before it, and taken back after it.
extension LXCHypervisor {
    /// The NICs with an address each, none of which another guest of this host has. One without gets its own: the same
    /// whenever it is asked for, and locally administered.
    ///
    /// - Throws: `LXCError` `alreadyExists` for an address that is another interface's.
    func addressed(_ nics: [NIC], of guest: UUID) async throws -> [NIC] {
        guard !nics.isEmpty else { return nics }
        var owners: [MACAddress: String] = [:]
        for other in try await driver.guests() {
            // A guest that goes meanwhile needs no address.
            for mac in try await interfaces(of: other.name).compactMap(\.mac) { owners[mac] = "\(kind) \(other.name)" }
        }
        for nic in nics {
            guard let mac = nic.mac else { continue }
            if let owner = owners.updateValue("another NIC of the same guest", forKey: mac) {
                throw LXCError(
                    .alreadyExists,
                    "NIC \(nic.deviceID) cannot have the hardware address \(mac), which \(owner) has; give it another, or "
                        + "none")
            }
        }
        var taken = Set(owners.keys)
        return nics.map { nic in
            guard nic.mac == nil else { return nic }
            var nic = nic
            var attempt = 0
            var mac: MACAddress
            repeat {
                mac = .stable(
                    from: "\(guest.uuidString.lowercased()):\(nic.deviceID)" + (attempt == 0 ? "" : ":\(attempt)"))
                attempt += 1
            } while !taken.insert(mac).inserted
            nic.mac = mac
            return nic
        }
    }

    private func interfaces(of guest: GuestName) async throws -> [Interface] {
        do {
            return try await driver.definition(of: guest).interfaces
        } catch let error as LXCError where error.code == .notFound {
            return []
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
                "cannot take back the network of a container",
                metadata: ["container": "\(guest)", "error": "\(error)"])
        }
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
