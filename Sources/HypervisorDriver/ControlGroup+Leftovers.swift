import Glibc
import LXCCore

/// Groups of containers that have ended: libvirt takes away those of the controllers it knows, and not always.
extension ControlGroupMounts {
    /// Takes away the groups of containers whose controller process is gone.
    func removeLeftovers() {
        for machines in directories(of: "/machine") {
            for name in (try? DurableFile.list(machines)) ?? [] where Self.isLeft(name) {
                // The inner ones first; what has a process in it stays.
                for directory in ControlGroup.directories(below: "\(machines)/\(name)").reversed() { rmdir(directory) }
            }
        }
    }

    /// Whether a group is called as libvirt calls those of containers, `lxc-<controller>-<name>.libvirt-lxc`, and its
    /// controller is gone.
    private static func isLeft(_ name: String) -> Bool {
        let parts = name.split(separator: "-", maxSplits: 2)
        guard parts.count == 3, parts[0] == "lxc", parts[2].hasSuffix(".libvirt-lxc"), let process = pid_t(parts[1]),
            process > 0
        else { return false }
        return kill(process, 0) != 0 && errno == ESRCH
    }
}
