// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Testing

/// Something of the host a test cannot do without.
enum HostRequirement {
    /// The tests run as root: trees have owners, containers need a daemon.
    case root
    /// libvirtd with its LXC driver is installed.
    case libvirtd
    /// A static busybox is installed.
    case busybox
    /// QEMU and its tools are installed.
    case qemu
    /// nfs-ganesha and rpcbind are installed.
    case nfsServer

    /// Why it is missing; nil where it is there.
    fileprivate var missing: String? {
        switch self {
        case .root: geteuid() == 0 ? nil : "needs root"
        case .libvirtd: Self.lacks(["/usr/sbin/libvirtd", "/usr/lib/libvirt/libvirt_lxc"], "libvirt-daemon-driver-lxc")
        case .busybox: Self.lacks(["/bin/busybox"], "busybox-static")
        case .qemu:
            Self.lacks(["/usr/bin/qemu-system-x86_64", "/usr/bin/qemu-img"], "qemu-system-x86 qemu-utils")
        case .nfsServer:
            Self.lacks(["/usr/bin/ganesha.nfsd", "/usr/sbin/rpcbind"], "nfs-ganesha nfs-ganesha-vfs rpcbind")
        }
    }

    private static func lacks(_ files: [String], _ package: String) -> String? {
        files.contains { access($0, X_OK) != 0 } ? "needs the package \(package)" : nil
    }
}

extension Trait where Self == ConditionTrait {
    /// Runs a test only where the host has what it needs; with `LXC_HOST_TESTS=required` in the environment a test runs,
    /// and fails, wherever it is.
    static func host(_ requirements: HostRequirement...) -> Self {
        let missing = requirements.compactMap(\.missing)
        let isRequired = ProcessInfo.processInfo.environment["LXC_HOST_TESTS"] == "required"
        return .enabled(if: missing.isEmpty || isRequired, Comment(rawValue: missing.joined(separator: ", ")))
    }
}
