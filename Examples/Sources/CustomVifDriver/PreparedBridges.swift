// SPDX-License-Identifier: Apache-2.0

public import Foundation
public import LXCCore
public import LibvirtXML
public import VifDriver

/// Connects guests to bridges the operator has prepared, one for each VLAN: a NIC in VLAN 42 is connected to the bridge
/// `tenant-42`. The driver makes nothing on the host, so it removes nothing.
public struct PreparedBridges: VifDriver {
    /// The driver's name, in log metadata and error messages.
    public let name = "prepared-bridges"

    private let prefix: String
    private let devices: URL

    /// Creates the driver.
    ///
    /// - Parameters:
    ///   - prefix: the prefix of the bridges' names, before the number of the VLAN.
    ///   - devices: the directory in which the kernel lists the host's network devices.
    public init(prefix: String, devices: URL = URL(filePath: "/sys/class/net")) {
        self.prefix = prefix
        self.devices = devices
    }

    /// The interface on the NIC's bridge, with all the NIC asks for.
    public func plug(_ nic: NIC, of guest: GuestName) async throws -> Interface {
        try nic.check()
        // libvirt gives these on any bridge. Security needs rules on the host as well, which this driver does not have.
        try nic.require(only: [.vlan, .mtu, .rate, .isolation, .model, .filter], of: guest, by: self)
        return try await nic.interface(connection(of: nic), of: guest, target: nic.hostDevice(of: guest))
    }

    /// The NIC's bridge.
    public func connection(of nic: NIC) async throws -> Interface.Kind {
        guard case .vlan(let number) = nic.broadcast else {
            throw LXCError(.unsupported, "\(nic.broadcast) has no prepared bridge; name a VLAN, such as vlan://42")
        }
        let bridge = "\(prefix)\(number)"
        try NIC.checkDeviceName(bridge)
        guard FileManager.default.fileExists(atPath: devices.appending(path: "\(bridge)/bridge").path) else {
            throw LXCError(.notFound, "the host has no bridge \(bridge); prepare it before guests use VLAN \(number)")
        }
        return .bridge(bridge)
    }

    /// Does nothing: the bridge was there before the guest, and libvirt removes the cable.
    public func unplug(_ interface: Interface) async throws {}
}
