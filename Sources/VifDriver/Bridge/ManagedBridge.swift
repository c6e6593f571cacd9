// SPDX-License-Identifier: Apache-2.0

import LXCCore
import OpenSSL

/// A bridge that is made when a guest needs it and removed after the last one.
struct ManagedBridge: Hashable, Sendable {
    /// The uplink of the bridge.
    enum Uplink: Hashable, Sendable {
        /// A VLAN on a device of the host.
        case vlan(UInt16, on: String)
        /// A VXLAN that reaches other hosts by a device of the host.
        case vxlan(UInt32, on: String)
        /// Nothing: host and guests talk to each other, the host by this IPv4 address.
        case none(address: UInt32, prefixLength: UInt8)
    }

    /// The bridge's name.
    let name: String
    /// The uplink of the bridge.
    let uplink: Uplink

    /// CloudStack's `br<device>-<vlan>`.
    static func vlan(_ id: UInt16, on device: String) -> Self {
        Self(name: deviceName("br\(device)-\(id)", or: "br", device, "-\(id)"), uplink: .vlan(id, on: device))
    }

    /// CloudStack's `brvx-<network identifier>`.
    static func vxlan(_ id: UInt32, on device: String) -> Self {
        Self(name: "brvx-\(id)", uplink: .vxlan(id, on: device))
    }

    /// CloudStack's link-local bridge between a host and the system VMs on it: 169.254.0.1/16.
    static func control(_ name: String) -> Self {
        Self(name: name, uplink: .none(address: 0xA9FE_0001, prefixLength: 16))
    }

    /// The name of the device that is made to lead out, CloudStack's `<device>.<vlan>` or `vxlan<network identifier>`.
    var uplinkDevice: String? {
        switch uplink {
        case .vlan(let id, let device): Self.deviceName("\(device).\(id)", or: "vl", device, ".\(id)")
        case .vxlan(let id, _): "vxlan\(id)"
        case .none: nil
        }
    }

    /// The name, or where the kernel's 15 bytes do not hold it one in which a hash stands for the device: the same on
    /// every host.
    private static func deviceName(_ name: String, or prefix: String, _ device: String, _ suffix: String) -> String {
        guard name.utf8.count > 15 else { return name }
        let digest = MessageDigest.hash(data: Array(device.utf8), with: .sha256)
        return prefix + digest.prefix(4).hexadecimal + suffix
    }
}
