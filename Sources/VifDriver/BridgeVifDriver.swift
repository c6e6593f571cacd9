public import DomainXML
public import LXCCore

/// Connects guests to bridges the host already has.
///
/// The bridge is the one the NIC names, else the one for the NIC's type of traffic. What passes over it has no VLAN
/// tag. The host's end of each cable has a name of this driver's own, stable over restarts of the guest.
public struct BridgeVifDriver: VifDriver {
    /// The driver's name, `bridge`.
    public let name = "bridge"

    private let defaultBridges: [TrafficType: String]
    private let host: HostNetwork

    /// Takes the bridge for each type of traffic; a NIC of another type has to name its bridge.
    public init(defaultBridges: [TrafficType: String] = [:]) {
        self.init(defaultBridges: defaultBridges, sysfs: HostNetwork.sysfs)
    }

    /// Reads the host's devices from another directory than sysfs.
    package init(defaultBridges: [TrafficType: String], sysfs: String) {
        self.defaultBridges = defaultBridges
        host = HostNetwork(root: sysfs)
    }

    /// Checks the bridge and returns an interface on it.
    ///
    /// - Throws: `LXCError` with code `notFound` when the bridge is not there, `invalidArgument` when the
    ///   device of that name is no bridge, when the NIC names no bridge and there is none for its type of traffic, or
    ///   when a value of the NIC breaks a rule; `CancellationError`.
    public func plug(_ nic: NIC, of guest: ContainerName) async throws -> Interface {
        guard let bridge = nic.bridge ?? defaultBridges[nic.trafficType] else {
            throw LXCError(
                .invalidArgument,
                "NIC \(nic.deviceID) of \(guest) names no bridge, and none is set for "
                    + "\(nic.trafficType.rawValue) traffic; name one")
        }
        try await host.requireBridge(bridge)
        return try nic.interface(.bridge(bridge), target: nic.hostDevice(of: guest))
    }

    /// Does nothing: the bridge was there before the guest, and libvirt removes the cable with it.
    public func unplug(_ interface: Interface) async throws {}
}
