public import LXCCore
public import LibvirtXML

/// Connects guests to bridges: those the host already has, and those of VLANs and VXLANs, which are made when the first
/// guest needs them and removed after the last.
///
/// Where a NIC goes is decided by its traffic label, or else by the device for its type of traffic: a bridge, or a
/// physical device. What is untagged needs a bridge. A VLAN lies on the physical device, found from the bridge by what
/// the kernel says of its ports; a VXLAN reaches other hosts by the bridge or device itself, which needs an IPv4
/// address. The host's end of each cable has a name of this driver's own, stable over restarts of the guest.
///
/// Bridges have CloudStack's names, `br<device>-<vlan>` and `brvx-<identifier>`; a name longer than the kernel's 15
/// bytes has a hash for the device. One of such a name that somebody else has made is used as it is and never removed.
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

    /// Reads the host's devices and settings from other directories than the kernel's, and keeps locks and reservations
    /// elsewhere.
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
    /// What the bridge is to the host it stays: its hardware address and its largest packet are fixed at what they are
    /// before a guest's cable could change them.
    ///
    /// - Throws: `LXCError` with code `notFound` when the bridge or device is not there, `invalidArgument` when the
    ///   device of that name is no bridge, when the NIC names none and there is none for its type of traffic, when no
    ///   way out of the host is found, or when a value of the NIC breaks a rule; `invalidState` when the device is down or
    ///   lacks an address; `alreadyExists` when a device is in the way, also the one of a running guest; `unsupported` when
    ///   the kernel has no VLANs or no VXLANs, or would not enforce the NIC's security; `permissionDenied`;
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
        // 1500 is what a guest's end has of itself.
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
        // Last: what the guards have done needs not be taken back.
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

    /// Where a NIC goes.
    private enum Place {
        /// To a bridge the host has.
        case present(String)
        /// To one that is made when it is needed.
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
