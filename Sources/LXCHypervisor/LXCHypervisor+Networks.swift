import DomainXML
import Foundation
import HypervisorDriver
import LXCCore
import Logging
import VifDriver

/// What a container has of networks: bridges, filters and interfaces made before it, and taken back after it.
extension LXCHypervisor {
    /// The NICs with an address each. One without gets its own: the same whenever it is asked for, locally administered,
    /// and no other guest's on this host.
    func addressed(_ nics: [NIC], of guest: UUID) async throws -> [NIC] {
        guard nics.contains(where: { $0.mac == nil }) else { return nics }
        var taken = Set(nics.compactMap(\.mac))
        for other in try await driver.guests() {
            // A guest that goes meanwhile needs no address.
            taken.formUnion(try await interfaces(of: other.name).compactMap(\.mac))
        }
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

    private func interfaces(of guest: ContainerName) async throws -> [Interface] {
        do {
            return try await driver.definition(of: guest).interfaces
        } catch let error as LXCError where error.code == .notFound {
            return []
        }
    }

    /// Makes what the NICs need on the host. Either all of it is done or nothing; what the guest has already is not taken
    /// back.
    func connect(_ nics: [NIC], of guest: ContainerName, areNew: Bool = true) async throws -> [Interface] {
        let filters = try nics.compactMap { try $0.networkFilter(of: guest) }
        let interfaces = try await vifs.plug(nics, of: guest)
        do {
            for filter in filters { try await driver.define(filter) }
        } catch {
            guard areNew else { throw error }
            await Task { await takeBack(interfaces, of: guest) }.value
            throw error
        }
        return interfaces
    }

    /// Releases what ``connect(_:of:)`` made, as far as that goes: for use after a failure, which must not be hidden by
    /// another.
    func takeBack(_ interfaces: [Interface], of guest: ContainerName) async {
        do {
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
            do { try await driver.undefineNetworkFilter(filter) } catch { failure = failure ?? error }
        }
        if let failure { throw failure }
    }

    /// Makes the networks of a container again before its start: bridges do not outlive the host's reboot, nor the last
    /// guest on them.
    func reconnect(_ domain: Domain, of guest: ContainerName) async throws {
        let nics = try domain.containerMetadata()?.networks.compactMap { NIC($0) } ?? []
        _ = try await vifs.plug(nics, of: guest)
    }
}

extension Interface {
    /// The filter that was made for this interface alone.
    fileprivate var ownFilter: String? {
        guard let name = filter?.filter, name.hasPrefix(NIC.networkFilterPrefix) else { return nil }
        return name
    }
}

// MARK: Plugging while it runs

extension LXCHypervisor {
    /// Connects a NIC; see ``Container/plugNIC(_:)``.
    func plugNIC(_ nic: NIC, of name: ContainerName) async throws -> Interface {
        try await operation("nic.plug", on: name) {
            let domain = try await driver.definition(of: name)
            let uuid = try await driver.guest(name).uuid
            let present = domain.interfaces.first { $0.guestDevice == "eth\(nic.deviceID)" }
            var nic = nic
            // The address it has is its own, also for one that was plugged before without saying which.
            if nic.mac == nil { nic.mac = present?.mac }
            nic = try await addressed([nic], of: uuid)[0]
            if let present, present.mac != nic.mac {
                throw LXCError(
                    .alreadyExists,
                    "\(name) has a NIC \(nic.deviceID) already; unplug it, or use another device id")
            }
            let interface = try await connect([nic], of: name, areNew: present == nil)[0]
            do {
                try await driver.attach(interface, to: name)
                try await note(nic, of: name, isThere: true)
            } catch {
                if present == nil {
                    await Task { [driver, nic] in
                        if let mac = nic.mac { try? await driver.detach(mac, from: name) }
                        await takeBack([interface], of: name)
                    }.value
                }
                throw error
            }
            return interface
        }
    }

    /// Takes a NIC away; see ``Container/unplugNIC(_:)``.
    func unplugNIC(_ deviceID: Int, of name: ContainerName) async throws {
        try await operation("nic.unplug", on: name) {
            let domain = try await driver.definition(of: name)
            guard let interface = domain.interfaces.first(where: { $0.guestDevice == "eth\(deviceID)" }) else { return }
            guard let mac = interface.mac else {
                throw LXCError(.hypervisor, "libvirt shows no hardware address of NIC \(deviceID) of \(name)")
            }
            try await driver.detach(mac, from: name)
            try await note(NIC(deviceID: deviceID), of: name, isThere: false)
            try await release([interface])
        }
    }

    /// Changes what a container may send and receive; see ``Container/setSecurity(_:ofNIC:)``.
    func setSecurity(_ security: NICSecurity, ofNIC deviceID: Int, of name: ContainerName) async throws {
        try await operation("nic.secure", on: name) {
            let domain = try await driver.definition(of: name)
            guard let interface = domain.interfaces.first(where: { $0.guestDevice == "eth\(deviceID)" }) else {
                throw LXCError(.notFound, "\(name) has no NIC \(deviceID)")
            }
            let nic = NIC(deviceID: deviceID, mac: interface.mac, security: security)
            guard let filter = try nic.networkFilter(of: name), interface.ownFilter == filter.name else {
                throw LXCError(
                    .invalidState,
                    "NIC \(deviceID) of \(name) was plugged without security, which cannot be added; unplug it and plug it "
                        + "again with security")
            }
            try await driver.define(filter)
        }
    }

    /// Keeps the container's list of networks true.
    private func note(_ nic: NIC, of name: ContainerName, isThere: Bool) async throws {
        guard var metadata = try await driver.definition(of: name).containerMetadata() else { return }
        metadata.networks.removeAll { $0.device == nic.deviceID }
        if isThere { metadata.networks.append(nic.network) }
        metadata.networks.sort { $0.device < $1.device }
        try await driver.setContainerMetadata(metadata, of: name)
    }
}
