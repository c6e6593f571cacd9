// SPDX-License-Identifier: Apache-2.0

public import LXCCore
public import LibvirtXML

/// Connects guests to a device of the host itself, without a bridge: each guest gets a macvlan device on it.
public struct DirectVifDriver: VifDriver {
    /// The driver's name, `direct`.
    public let name = "direct"

    private let device: String
    private let mode: Interface.DirectMode
    private let host: HostNetwork

    /// Creates a direct driver from CloudStack's `network.direct.device` and `network.direct.source.mode`.
    ///
    /// - Parameters:
    ///   - device: the host's device, which must be no bridge's port.
    ///   - mode: the reachable peers of the guests on the device.
    public init(device: String, mode: Interface.DirectMode) {
        self.init(device: device, mode: mode, sysfs: HostNetwork.sysfs)
    }

    /// Reads the host's devices from another directory than sysfs.
    package init(device: String, mode: Interface.DirectMode, sysfs: String) {
        self.device = device
        self.mode = mode
        host = HostNetwork(root: sysfs)
    }

    /// Checks the device and returns an interface on it. A bridge the NIC names is of no account.
    ///
    /// - Throws: `LXCError` with code `notFound` if the device does not exist, `invalidArgument` if it is a bridge's
    ///   port or a value of the NIC breaks a rule, `unsupported` for traffic other than guest and public, for a VLAN or
    ///   VXLAN, a rate, isolation, a filter and security; `CancellationError`.
    public func plug(_ nic: NIC, of guest: GuestName) async throws -> Interface {
        try nic.check()
        try nic.require(traffic: [.guest, .public], of: guest, by: self)
        // libvirt refuses the rest on a direct interface, or leaves it out without a word.
        try nic.require(only: [.bridge, .mtu, .model], of: guest, by: self)
        try await BlockingPool.shared.run { [host, device] _ in try host.requireFreeDevice(device) }
        // The device moves into the container, so there is no host's end to name.
        return try nic.interface(.direct(device: device, mode: mode), of: guest, target: nil)
    }

    /// The device, whatever the NIC names.
    public func connection(of nic: NIC) -> Interface.Kind { .direct(device: device, mode: mode) }

    /// Does nothing: the device existed before the guest, and libvirt removes the device it put on it.
    public func unplug(_ interface: Interface) async throws {}
}
