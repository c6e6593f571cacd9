// SPDX-License-Identifier: Apache-2.0

public import LXCCore
public import LibvirtXML

/// Connects guests to bridges: those the host already has, and those of VLANs and VXLANs, which are made when the first
/// guest needs them and removed after the last.
///
/// A NIC's traffic label, or else the device for its type of traffic, decides about its connection: a bridge, or a
/// physical device. Untagged traffic needs a bridge. A VLAN is on the physical device, found among the ports the kernel
/// lists for the bridge; a VXLAN reaches other hosts by the bridge or device itself, which needs an IPv4 address. The
/// host's end of each cable has a name given by this driver, stable over restarts of the guest.
///
/// Bridges have CloudStack's names, `br<device>-<vlan>` and `brvx-<identifier>`; a name longer than the kernel's 15
/// bytes has a hash for the device. A foreign bridge of such a name is used unchanged and never removed.
public struct BridgeVifDriver: NICSecuring {
    /// The driver's name, `bridge`.
    public let name = "bridge"
    /// The bridge or physical device for each type of traffic.
    public let devices: [TrafficType: String]

    private let host: HostNetwork
    private let managed: ManagedBridges
    private let steady: SteadyBridges
    private let guards: PortGuards

    /// Creates a bridge driver from the bridge or physical device for each type of traffic; a NIC of another type has to name one.
    ///
    /// The control bridge, by default `cloud0`, is made on demand with the address 169.254.0.1/16.
    public init(devices: [TrafficType: String] = [:]) {
        self.init(devices: devices, sysfs: HostNetwork.sysfs)
    }

    /// Reads the host's devices and settings from other directories than the kernel's, and stores locks and
    /// reservations elsewhere.
    package init(
        devices: [TrafficType: String], sysfs: String, bridgeSettings: String = HostNetwork.bridgeSettings,
        directory: String = ManagedBridges.directory
    ) {
        self.devices = devices.merging([.control: "cloud0"]) { given, _ in given }
        host = HostNetwork(root: sysfs, bridgeSettings: bridgeSettings)
        managed = ManagedBridges(host: host, directory: directory)
        steady = SteadyBridges(host: host, directory: directory)
        guards = PortGuards(host: host, directory: directory)
    }

    /// Finds the bridge or makes it, sees to it that the guest is held to the NIC's security from its first frame on, and
    /// returns an interface on the bridge.
    ///
    /// The bridge's properties stay unchanged: its hardware address and its MTU are fixed before a guest's cable could
    /// change them.
    ///
    /// - Throws: `LXCError` with code `notFound` if the bridge or device does not exist, `invalidArgument` if the
    ///   device of that name is not a bridge, if the NIC names none and there is none for its type of traffic, if no
    ///   uplink of the host is found, or if a value of the NIC breaks a rule; `invalidState` if the device is down or
    ///   lacks an address; `alreadyExists` if another device, even a running guest's, has a needed name; `unsupported`
    ///   if the kernel has no VLANs or no VXLANs, or would not enforce the NIC's security; `permissionDenied`;
    ///   `CancellationError`.
    public func plug(_ nic: NIC, of guest: GuestName) async throws -> Interface {
        // Before anything is made, so that a wrong value costs nothing.
        try nic.check()
        let end = nic.hostDevice(of: guest)
        _ = try nic.interface(.bridge("bridge"), of: guest, target: end)
        let place = try await place(of: nic, shown: "NIC \(nic.deviceID) of \(guest)")
        try await guards.check(nic, end)
        guard case .managed(let bridge) = place else {
            try await prepare(place.name, for: nic, end)
            return try nic.interface(.bridge(place.name), of: guest, target: end)
        }
        var nic = nic
        let mtu = try await managed.reserve(bridge, for: end)
        // 1500 is the default of a guest's end.
        if nic.mtu == nil, mtu != 1500 { nic.mtu = mtu }
        do {
            try await prepare(bridge.name, for: nic, end)
            return try nic.interface(.bridge(bridge.name), of: guest, target: end)
        } catch {
            try? await withoutCancellation { try await managed.release(bridge.name, from: end) }
            throw error
        }
    }

    private func prepare(_ bridge: String, for nic: NIC, _ end: String) async throws {
        try await steady.keep(bridge, for: nic.mtu)
        // Last: the guards' work need not be reverted.
        try await guards.enforce(nic, end)
    }

    /// The bridge ``plug(_:of:)`` would put the NIC on.
    public func connection(of nic: NIC) async throws -> Interface.Kind {
        .bridge(try await place(of: nic, shown: "NIC \(nic.deviceID)").name)
    }

    /// Enforces what of a NIC's security is enforced on the host's end of its cable.
    public func secure(_ nic: NIC, of guest: GuestName) async throws {
        try await guards.enforce(nic, nic.hostDevice(of: guest))
    }

    /// Removes the bridge with the last interface on it, when it is one this driver made, and what held the guest to the
    /// interface's security. libvirt removes the cable with the guest.
    public func unplug(_ interface: Interface) async throws {
        guard case .bridge(let name) = interface.kind, let end = interface.targetDevice else { return }
        guard Interface.isDeviceName(name), Interface.isDeviceName(end) else { return }
        let result: Result<Void, any Error>
        do { result = .success(try await guards.remove(end)) } catch { result = .failure(error) }
        try await managed.release(name, from: end)
        try result.get()
    }

    // MARK: Places

    /// The connection of a NIC.
    private enum Place {
        /// To a bridge the host has.
        case present(String)
        /// To a bridge that is made on demand.
        case managed(ManagedBridge)

        var name: String {
            switch self {
            case .present(let name): name
            case .managed(let bridge): bridge.name
            }
        }
    }

    private func place(of nic: NIC, shown: String) async throws -> Place {
        try nic.broadcast.check()
        guard let label = nic.bridge ?? devices[nic.trafficType] else {
            throw LXCError(
                .invalidArgument,
                "\(shown) names no bridge, and none is set for \(nic.trafficType.rawValue) traffic; name one")
        }
        try NIC.checkDeviceName(label)
        return try await BlockingPool.shared.run { [host, devices] _ in
            switch nic.broadcast {
            case .vlan(let id): return .managed(.vlan(id, on: try host.uplink(of: label)))
            case .vxlan(let id): return .managed(.vxlan(id, on: label))
            case .untagged:
                if nic.trafficType == .control, label == devices[.control] { return .managed(.control(label)) }
                try host.requireBridge(label)
                return .present(label)
            }
        }
    }
}
