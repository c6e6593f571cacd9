// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
public import Testing

/// Something of the host a test cannot do without.
public enum HostRequirement: String, Sendable {
    /// The tests run as root.
    case root
    /// libvirtd with its LXC driver is installed.
    case libvirtd
    /// A static busybox is installed.
    case busybox
    /// QEMU with libvirt's driver for it is installed.
    case qemu
    /// A kernel for virtual machines, and what makes a disk that boots it.
    case guestKernel
    /// nfs-ganesha and rpcbind are installed.
    case nfsServer
    /// nft is installed, which guards NICs with security, and Python, which sends frames of any shape.
    case packetFilter
    /// debootstrap is installed, which makes the root of a distribution.
    case debootstrap

    /// Why it is missing; nil where it is there.
    var missing: String? {
        switch self {
        case .root: geteuid() == 0 ? nil : "needs root"
        case .libvirtd: Self.lacks(["/usr/sbin/libvirtd", "/usr/lib/libvirt/libvirt_lxc"], "libvirt-daemon-driver-lxc")
        case .busybox: Self.lacks(["/bin/busybox"], "busybox-static")
        case .nfsServer:
            Self.lacks(["/usr/bin/ganesha.nfsd", "/usr/sbin/rpcbind"], "nfs-ganesha nfs-ganesha-vfs rpcbind")
        case .qemu:
            Self.lacks(["/usr/bin/qemu-system-x86_64", "/usr/bin/qemu-img"], "qemu-system-x86 qemu-utils")
        case .guestKernel:
            Self.lacks(
                ["/usr/bin/syslinux", "/usr/bin/mcopy", "/usr/sbin/mkfs.vfat", "/usr/sbin/qemu-ga"],
                "syslinux mtools dosfstools qemu-guest-agent")
                ?? (access("\(GuestKernel.directory)/vmlinuz", R_OK) == 0
                    ? nil : "needs Scripts/guest-kernel to be run")
        case .packetFilter: Self.lacks(["/usr/sbin/nft", "/usr/bin/python3"], "nftables python3")
        case .debootstrap: Self.lacks(["/usr/sbin/debootstrap"], "debootstrap")
        }
    }

    private static func lacks(_ files: [String], _ package: String) -> String? {
        files.contains { access($0, X_OK) != 0 } ? "needs the package \(package)" : nil
    }
}

/// The kernel that virtual machines of the tests run: `Scripts/guest-kernel` makes it.
public enum GuestKernel {
    /// Holds `vmlinuz` and `modules/NAME.ko`.
    public static let directory: String = {
        let environment = ProcessInfo.processInfo.environment
        if let given = environment["GUEST_KERNEL_CACHE"] { return given }
        let cache = environment["XDG_CACHE_HOME"] ?? "\(environment["HOME"] ?? "/root")/.cache"
        return "\(cache)/lxc-hypervisor/guest-kernel"
    }()
}

extension Trait where Self == ConditionTrait {
    /// Runs a test only where the host has what it needs; with `LXC_HOST_TESTS=required` in the environment a test runs,
    /// and fails, wherever it is.
    public static func host(_ requirements: HostRequirement...) -> Self {
        let missing = requirements.compactMap(\.missing)
        let isRequired = ProcessInfo.processInfo.environment["LXC_HOST_TESTS"] == "required"
        return .enabled(if: missing.isEmpty || isRequired, Comment(rawValue: missing.joined(separator: ", ")))
    }
}
