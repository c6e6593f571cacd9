// SPDX-License-Identifier: Apache-2.0

/// The purpose of a network. The raw values are CloudStack's names, as in `libvirt.vif.driver.Guest`.
public enum TrafficType: String, Hashable, Sendable, Codable, CaseIterable {
    /// Between guests, and from guests to their gateway.
    case guest = "Guest"
    /// The world outside.
    case `public` = "Public"
    /// Between the parts of the cloud itself.
    case management = "Management"
    /// To secondary storage.
    case storage = "Storage"
    /// Between a host and the system VMs on it.
    case control = "Control"
    /// Private networks of remote users.
    case vpn = "Vpn"
}
