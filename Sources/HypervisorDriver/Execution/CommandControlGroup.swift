// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import LXCCore
import LinuxSystem

/// The control group of one command: all that it starts is in it, also what begins a session of its own, and is killed
/// as a whole.
///
/// It is a group of version 2, whose tree every kernel has, even if controllers are of version 1: then the command is
/// in the container's groups of version 1 as well. If version 2 holds the container's limits it is a group below the
/// container's.
final class CommandControlGroup: Sendable {
    /// The directory of our groups in a version 2 tree without the container's limits.
    static let home = "lxc-hypervisor"

    /// The group's directory, its file of processes, and the file that kills it; the last is a null device if the
    /// kernel has none (before Linux 5.14).
    let descriptors: [CInt]
    /// Its name in its directory, from the time of its making.
    let name = "exec-\(RandomName.make())"

    private let parent: Descriptor
    private let directory: Descriptor
    private let canKill: Bool

    /// Makes it; nil where this host has no such groups.
    ///
    /// - Parameters:
    ///   - guest: the container's name.
    ///   - controller: its controller process.
    ///   - root: the host's id of its root, who removes the group when this program is gone.
    init?(of guest: GuestName, _ controller: Int32, root: (user: UInt32, group: UInt32)?) {
        guard let parent = Self.parent(guest, controller, root), mkdirat(parent.raw, name, 0o755) == 0 else {
            return nil
        }
        let flags = O_RDONLY | clinux_o_directory
        guard let directory = Descriptor(name, in: parent.raw, flags: flags),
            let processes = Descriptor("cgroup.procs", in: directory.raw, flags: O_WRONLY)
        else {
            unlinkat(parent.raw, name, AT_REMOVEDIR)
            return nil
        }
        let kill = clinux_open(directory.raw, "cgroup.kill", O_WRONLY | clinux_o_cloexec, 0)
        canKill = kill >= 0
        let last = canKill ? kill : clinux_open(AT_FDCWD, "/dev/null", O_WRONLY | clinux_o_cloexec, 0)
        descriptors = [parent.raw, processes.release(), last]
        self.parent = parent
        self.directory = directory
    }

    /// A group with a process in it stays; an empty leftover is harmless.
    deinit {
        unlinkat(parent.raw, name, AT_REMOVEDIR)
        for number in descriptors.dropFirst() { close(number) }
    }

    private static func parent(
        _ guest: GuestName, _ controller: Int32, _ root: (user: UInt32, group: UInt32)?
    ) -> Descriptor? {
        let flags = O_RDONLY | clinux_o_directory
        guard let mounts = try? ControlGroupMounts.current() else { return nil }
        if mounts.hasOnlyVersion2 {
            return mounts.group(of: controller)?.unified.flatMap { Descriptor($0, flags: flags) }
        }
        guard let home = self.home(mounts, isMade: true) else { return nil }
        let name = "\(guest).\(controller)"
        guard mkdirat(home.raw, name, 0o755) == 0 || errno == EEXIST,
            let parent = Descriptor(name, in: home.raw, flags: flags)
        else { return nil }
        if let root { _ = fchown(parent.raw, root.user, root.group) }
        return parent
    }

    /// The directory of our groups.
    private static func home(_ mounts: ControlGroupMounts, isMade: Bool) -> Descriptor? {
        let flags = O_RDONLY | clinux_o_directory
        let tree = mounts.unifiedDirectory.map { clinux_open(AT_FDCWD, $0, flags | clinux_o_cloexec, 0) }
        let number = tree ?? clinux_open_control_groups()
        guard number >= 0 else { return nil }
        let top = Descriptor(adopting: number)
        if isMade { guard mkdirat(top.raw, home, 0o755) == 0 || errno == EEXIST else { return nil } }
        return Descriptor(home, in: top.raw, flags: flags)
    }

    /// Removes the remaining groups of a container's runs that have ended; a group with a process in it stays.
    static func removeLeftovers(of guest: GuestName) {
        guard let mounts = try? ControlGroupMounts.current(), !mounts.hasOnlyVersion2,
            let home = home(mounts, isMade: false)
        else { return }
        let prefix = "\(guest)."
        for run in names(in: home.raw) where run.hasPrefix(prefix) {
            guard let controller = pid_t(run.dropFirst(prefix.count)), ControllerProcess.isGone(controller),
                let directory = Descriptor(run, in: home.raw, flags: O_RDONLY | clinux_o_directory)
            else { continue }
            for name in names(in: directory.raw) { unlinkat(directory.raw, name, AT_REMOVEDIR) }
            unlinkat(home.raw, run, AT_REMOVEDIR)
        }
    }

    /// Removes the group of a container that has ended, and the groups it made inside.
    static func remove(_ name: String) {
        guard let mounts = try? ControlGroupMounts.current(), let home = home(mounts, isMade: false) else { return }
        let path = "/proc/self/fd/\(home.raw)/\(name)"
        guard ControlGroup.table("\(path)/cgroup.events")["populated"] == 0 else { return }
        for directory in ControlGroup.directories(below: path).reversed() { rmdir(directory) }
    }

    private static func names(in directory: CInt) -> [String] {
        (try? DurableFile.list("/proc/self/fd/\(directory)")) ?? []
    }

    /// Kills all that is in it.
    func kill() {
        guard !canKill else {
            _ = Glibc.write(descriptors[2], "1", 1)
            return
        }
        // Without a file for it processes are stopped from making others, found and killed, one after the other.
        Self.write("1", to: "cgroup.freeze", in: directory.raw)
        for process in processes() { _ = Glibc.kill(process, SIGKILL) }
        Self.write("0", to: "cgroup.freeze", in: directory.raw)
    }

    private func processes() -> [pid_t] {
        guard let file = Descriptor("cgroup.procs", in: directory.raw, flags: O_RDONLY),
            let bytes = Descriptor.readAll(file.raw)
        else { return [] }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").compactMap { pid_t($0) }.filter { $0 > 0 }
    }

    private static func write(_ text: String, to name: String, in directory: CInt) {
        guard let file = Descriptor(name, in: directory, flags: O_WRONLY) else { return }
        _ = Glibc.write(file.raw, text, text.utf8.count)
    }
}
