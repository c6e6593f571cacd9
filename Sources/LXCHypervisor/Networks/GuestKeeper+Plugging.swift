// SPDX-License-Identifier: Apache-2.0

import HypervisorDriver
import LXCCore
import LibvirtXML
import Logging
import VifDriver

/// Hot-plugging of NICs into existing guests, running or not.
extension GuestKeeper {
    /// Connects a NIC; see ``LXCHypervisor/Container/plugNIC(_:)``.
    func plugNIC(_ nic: NIC, of name: GuestName) async throws -> Interface {
        let domain = try await driver.definition(of: name)
        guard let present = domain.interfaces.first(where: { $0.guestDevice == "eth\(nic.deviceID)" }) else {
            return try await plugNew(nic, of: name)
        }
        try await requireSame(nic, present, domain, name)
        // The program that plugged it may have been killed before it finished.
        try await driver.interfaces.attach(present, to: name)
        return present
    }

    private func plugNew(_ nic: NIC, of name: GuestName) async throws -> Interface {
        try await withAddresses(for: [nic], of: driver.guest(name).uuid) { nics in
            // Recorded before it is attached, so that an attached NIC is guarded when the container is started again.
            try await note(nics[0].network, device: nic.deviceID, of: name)
            var plugged: [Interface] = []
            do {
                plugged = try await vifs.plug(nics, of: name)
                try await defineFilters(nics, of: name)
                try await driver.interfaces.attach(plugged[0], to: name)
                return plugged[0]
            } catch {
                await withoutCancellation { [plugged] in await self.takeBack(nics[0], plugged, from: name) }
                throw error
            }
        }
    }

    /// Reverts the plugging of a NIC after a failure; devices that existed before are kept.
    private func takeBack(_ nic: NIC, _ plugged: [Interface], from name: GuestName) async {
        do {
            // The hypervisor may have attached it although its reply was lost.
            let isThere = try await driver.definition(of: name).interfaces.contains {
                $0.mac == nic.mac && $0.guestDevice == "eth\(nic.deviceID)"
            }
            if isThere, let mac = nic.mac { try await driver.interfaces.detach(mac, from: name) }
            try await release(plugged)
            try await note(nil, device: nic.deviceID, of: name)
        } catch {
            logger.warning(
                "cannot take back a NIC that was not plugged",
                metadata: ["container": "\(name)", "nic": "\(nic.deviceID)", "error": "\(error)"])
        }
    }

    /// Checks that the existing NIC with this device id matches the requested one in every specified property.
    private func requireSame(
        _ nic: NIC, _ present: Interface, _ domain: Domain, _ name: GuestName
    ) async throws {
        let noted = try domain.containerMetadata()?.networks.first { $0.device == nic.deviceID }
        let differences = [
            ("the hardware address", nic.mac == nil || nic.mac == present.mac),
            ("the network", try await vifs.connection(of: nic) == present.kind),
            ("the MTU", nic.mtu == nil || nic.mtu == present.mtu),
            ("the rate", (nic.megabitsPerSecond == nil) == (present.bandwidth == nil)),
            ("the isolation", nic.isIsolated == present.isPortIsolated),
            ("the filter", nic.security != nil || nic.filter == present.filter?.filter),
            ("the security", (nic.security != nil) == (present.ownFilter != nil)),
            ("the security", noted?.security == nil || noted?.security == nic.network.security),
        ].filter { !$0.1 }.map(\.0)
        guard let difference = differences.first else { return }
        throw LXCError(
            .alreadyExists,
            "\(name) has a NIC \(nic.deviceID) already, and \(difference) is another; unplug it first, or use another device "
                + "id")
    }

    /// Disconnects a NIC; see ``LXCHypervisor/Container/unplugNIC(_:)``.
    func unplugNIC(_ deviceID: Int, of name: GuestName) async throws {
        let domain = try await driver.definition(of: name)
        guard let interface = domain.interfaces.first(where: { $0.guestDevice == "eth\(deviceID)" }) else { return }
        guard let mac = interface.mac else {
            throw LXCError(.hypervisor, "libvirt shows no hardware address of NIC \(deviceID) of \(name)")
        }
        try await driver.interfaces.detach(mac, from: name)
        try await note(nil, device: deviceID, of: name)
        try await release([interface])
    }

    /// Changes what a container may send and receive; see ``LXCHypervisor/Container/setSecurity(_:ofNIC:)``.
    func setSecurity(_ security: NICSecurity, ofNIC deviceID: Int, of name: GuestName) async throws {
        let domain = try await driver.definition(of: name)
        guard let interface = domain.interfaces.first(where: { $0.guestDevice == "eth\(deviceID)" }) else {
            throw LXCError(.notFound, "\(name) has no NIC \(deviceID)")
        }
        let noted = try domain.containerMetadata()?.networks.first { $0.device == deviceID }
        let before = try noted.flatMap { try NIC($0, of: interface) }
        guard var nic = before, interface.ownFilter == nic.networkFilterName(of: name) else {
            throw LXCError(
                .invalidState,
                "NIC \(deviceID) of \(name) was plugged without security, which cannot be added; unplug it and plug it "
                    + "again with security")
        }
        nic.security = security
        try await change(nic, from: before, of: name)
    }

    /// Applies a NIC's new security and stores it for later starts. It is stored first, so that if the program is
    /// killed in between, the requested state remains. After a failure the previous state is restored.
    private func change(_ nic: NIC, from before: NIC?, of name: GuestName) async throws {
        _ = try nic.networkFilter(of: name)?.xml()
        try await note(nic.network, device: nic.deviceID, of: name)
        do {
            try await vifs.secure(nic, of: name)
            try await defineFilters([nic], of: name)
        } catch {
            await withoutCancellation { [self] in
                guard let before else { return }
                try? await vifs.secure(before, of: name)
                try? await defineFilters([before], of: name)
                try? await note(before.network, device: nic.deviceID, of: name)
            }
            throw error
        }
    }

    /// Keeps the container's list of networks up to date.
    private func note(_ network: ContainerMetadata.Network?, device: Int, of name: GuestName) async throws {
        guard var metadata = try await driver.definition(of: name).containerMetadata() else { return }
        let before = metadata.networks
        metadata.networks.removeAll { $0.device == device }
        if let network { metadata.networks.append(network) }
        metadata.networks.sort { $0.device < $1.device }
        guard metadata.networks != before else { return }
        try await driver.setContainerMetadata(metadata, of: name)
    }
}
