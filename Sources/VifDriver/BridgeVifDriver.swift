public import DomainXML
public import LXCCore

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
public struct BridgeVifDriver: VifDriver {
    /// The driver's name, `bridge`.
    public let name = "bridge"
    /// The bridge or physical device for each type of traffic.
    public let devices: [TrafficType: String]

    private let host: HostNetwork
    private let managed: ManagedBridges

    /// Takes the bridge or physical device for each type of traffic; a NIC of another type has to name one.
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
    }

    /// Finds the bridge or makes it, and returns an interface on it.
    ///
    /// - Throws: `LXCError` with code `notFound` when the bridge or device is not there, `invalidArgument` when the
    ///   device of that name is no bridge, when the NIC names none and there is none for its type of traffic, when no
    ///   way out of the host is found, or when a value of the NIC breaks a rule; `invalidState` when the device is down or
    ///   lacks an address; `alreadyExists` when a device is in the way; `unsupported` when the kernel has no VLANs or no
    ///   VXLANs, or does not filter what is bridged; `permissionDenied`; `CancellationError`.
    public func plug(_ nic: NIC, of guest: ContainerName) async throws -> Interface {
        // Before anything is made, so that a wrong value costs nothing.
        let end = nic.hostDevice(of: guest)
        _ = try nic.interface(.bridge("bridge"), of: guest, target: end)
        try nic.broadcast.check()
        guard let label = nic.bridge ?? devices[nic.trafficType] else {
            throw LXCError(
                .invalidArgument,
                "NIC \(nic.deviceID) of \(guest) names no bridge, and none is set for "
                    + "\(nic.trafficType.rawValue) traffic; name one")
        }
        guard let bridge = try await managedBridge(nic, label) else {
            return try nic.interface(.bridge(label), of: guest, target: end)
        }
        var nic = nic
        let mtu = try await managed.reserve(bridge, for: end)
        // 1500 is what a guest's end has of itself.
        if nic.mtu == nil, mtu != 1500 { nic.mtu = mtu }
        return try nic.interface(.bridge(bridge.name), of: guest, target: end)
    }

    /// Removes the bridge with the last interface on it, when it is one this driver made. libvirt removes the cable with
    /// the guest.
    public func unplug(_ interface: Interface) async throws {
        guard case .bridge(let name) = interface.kind, let end = interface.targetDevice else { return }
        guard Interface.isDeviceName(name), Interface.isDeviceName(end) else { return }
        try await managed.release(name, from: end)
    }

    /// The bridge to be made for a NIC; nil when the label is a bridge the NIC goes to.
    private func managedBridge(_ nic: NIC, _ label: String) async throws -> ManagedBridge? {
        try HostNetwork.checkName(label)
        return try await BlockingPool.shared.run { [host, devices] _ in
            if nic.security?.rules != nil { try host.requireFiltering() }
            switch nic.broadcast {
            case .vlan(let id): return .vlan(id, on: try host.uplink(of: label))
            case .vxlan(let id): return .vxlan(id, on: label)
            case .untagged:
                if nic.trafficType == .control, label == devices[.control] { return .control(label) }
                try host.requireBridge(label)
                return nil
            }
        }
    }
}
