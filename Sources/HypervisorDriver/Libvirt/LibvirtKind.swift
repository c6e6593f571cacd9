// SPDX-License-Identifier: Apache-2.0

/// The libvirt driver that runs the guests.
public enum LibvirtKind: String, Hashable, Sendable, CaseIterable {
    /// Containers.
    case lxc
    /// Virtual machines.
    case kvm

    /// The system daemon's URI: CloudStack's defaults.
    public var systemURI: String {
        switch self {
        case .lxc: "lxc:///"
        case .kvm: "qemu:///system"
        }
    }
}
