import HypervisorDriver
import LXCCore
import LibvirtXML
import Logging
import VifDriver

/// NICs of guests that are there already, running or not.
extension GuestKeeper {
    /// Connects a NIC; see ``LXCHypervisor/Container/plugNIC(_:)``.
    func plugNIC(_ nic: NIC, of name: GuestName) async throws -> Interface {
        let domain = try await driver.definition(of: name)
        guard let present = domain.interfaces.first(where: { $0.guestDevice == "eth\(nic.deviceID)" }) else {
            return try await plugNew(nic, of: name)
        }
        try await requireSame(nic, present, domain, name)
        // Whoever plugged it may have been killed before it was done.
        try await driver.interfaces.attach(present, to: name)
        return present
    }

    private func plugNew(_ nic: NIC, of name: GuestName) async throws -> Interface {
        try await withAddresses(for: [nic], of: driver.guest(name).uuid) { nics in
            // Known before it is there: what is there is guarded when it is started again.
            try await note(nics[0].network, device: nic.deviceID, of: name)
            var plugged: [Interface] = []
            do {
                plugged = try await vifs.plug(nics, of: name)
                try await defineFilters(nics, of: name)
                try await driver.interfaces.attach(plugged[0], to: name)
                return plugged[0]
            } catch {
                await Task { [plugged] in await self.takeBack(nics[0], plugged, from: name) }.value
                throw error
            }
        }
    }

    /// Takes back what plugging a NIC has made, and no device that was there before: for use after a failure.
    private func takeBack(_ nic: NIC, _ plugged: [Interface], from name: GuestName) async {
        do {
            // The hypervisor may have attached it although its answer was lost.
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

    /// Checks that the NIC that has the number is the one that is asked for, as far as was said.
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

    /// Enforces what a NIC may do from now on, and keeps it for later starts: first, so that a program that is killed in
    /// between leaves what was asked for. After a failure all is as it was before.
    private func change(_ nic: NIC, from before: NIC?, of name: GuestName) async throws {
        _ = try nic.networkFilter(of: name)?.xml()
        try await note(nic.network, device: nic.deviceID, of: name)
        do {
            try await vifs.secure(nic, of: name)
            try await defineFilters([nic], of: name)
        } catch {
            await Task {
                guard let before else { return }
                try? await vifs.secure(before, of: name)
                try? await defineFilters([before], of: name)
                try? await note(before.network, device: nic.deviceID, of: name)
            }.value
            throw error
        }
    }

    /// Keeps the container's list of networks true.
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
