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
    /// QEMU is installed.
    case qemu
    /// nfs-ganesha and rpcbind are installed.
    case nfsServer
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
        case .debootstrap: Self.lacks(["/usr/sbin/debootstrap"], "debootstrap")
        case .qemu: Self.lacks(["/usr/bin/qemu-system-x86_64"], "qemu-system-x86")
        }
    }

    private static func lacks(_ files: [String], _ package: String) -> String? {
        files.contains { access($0, X_OK) != 0 } ? "needs the package \(package)" : nil
    }
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
