// SPDX-License-Identifier: Apache-2.0

import Glibc
import LXCCore
import LinuxSystem

/// The limit of processes of one container in its control groups. libvirt sets none: with control groups of version 1
/// it leaves containers without a group of that controller, with version 2 it omits the controller.
struct ProcessLimitGroup: Sendable {
    /// The directory of the limit.
    let directory: String
    /// The groups that must hand the controller down, the outer ones first; of version 2 alone.
    private let above: [String]
    /// The group that lists the container's processes and can freeze them; of version 1 alone.
    private let freezer: String?
    private let controller: Int32

    /// Finds the group of a container; nil where the host has no such controller, or the container has ended.
    ///
    /// - Parameters:
    ///   - controller: the container's controller process, which libvirt puts into the container's groups.
    ///   - mounts: the mounts of control groups.
    init?(of controller: Int32, _ mounts: ControlGroupMounts) {
        self.controller = controller
        guard let group = mounts.group(of: controller) else { return nil }
        if let freezer = group.controllers["freezer"] {
            guard let path = mounts.path(of: freezer, below: "freezer"), path != "/",
                let directory = mounts.directory(of: path, below: "pids")
            else { return nil }
            (self.directory, self.freezer, above) = (directory, freezer, [])
        } else {
            guard let unified = group.unified, let top = mounts.unifiedDirectory, unified.hasPrefix(top + "/") else {
                return nil
            }
            var above = [top]
            for name in unified.dropFirst(top.count).split(separator: "/").dropLast() {
                above.append("\(above[above.count - 1])/\(name)")
            }
            (directory, freezer, self.above) = (unified, nil, above)
        }
    }

    /// The limit in force; nil if there is none.
    var limit: UInt64? { ControlGroup.number("\(directory)/pids.max") }

    /// Sets the limit. All of the container's processes are under it when this returns: those of version 1 are moved
    /// into the group while they are frozen, because a process forked in the meantime would escape.
    ///
    /// - Parameter limit: the number of processes; 0 for no limit.
    /// - Throws: `LXCError` `unsupported` where the host's control groups cannot count processes.
    func set(_ limit: UInt64) throws {
        for group in above { ControlGroup.write("+pids", to: "\(group)/cgroup.subtree_control") }
        if freezer != nil { try makeDirectories() }
        guard ControlGroup.write(limit == 0 ? "max" : "\(limit)", to: "\(directory)/pids.max") else {
            let error = LXCError.lastSystemCall("write", "limit the number of processes in \(directory)")
            throw LXCError(
                .unsupported, "this host's control groups cannot limit how many processes a container has", cause: error
            )
        }
        guard let freezer, !strays(of: freezer).isEmpty else { return }
        let hold = ControlGroup(controllers: ["freezer": freezer]).isFrozen ? nil : try FreezerHold(freezer)
        defer { hold?.end() }
        // Frozen processes do not fork; if they could not be frozen, new processes are moved in the next round.
        for _ in 0..<100 {
            let strays = strays(of: freezer)
            if strays.isEmpty { return }
            for process in strays { ControlGroup.write("\(process)", to: "\(directory)/cgroup.procs") }
        }
    }

    private func makeDirectories() throws {
        var path = ""
        for name in directory.split(separator: "/") {
            path += "/\(name)"
            guard mkdir(path, 0o755) == 0 || errno == EEXIST else {
                throw LXCError.lastSystemCall("mkdir", "make the control group \(path)")
            }
        }
    }

    /// The container's processes that are not in the group.
    private func strays(of freezer: String) -> Set<Int32> {
        func members(_ directory: String) -> Set<Int32> {
            ControlGroup.directories(below: directory).reduce(into: []) { all, directory in
                let lines = ControlGroup.read("\(directory)/cgroup.procs")?.split(separator: "\n") ?? []
                all.formUnion(lines.compactMap { Int32($0) })
            }
        }
        return members(freezer).subtracting(members(directory)).subtracting([controller, 0])
    }

    /// Returns the ownership of the limit files to the host's root. With version 2 libvirt gives the container's root
    /// all files of the container's group, so that it could lift its own limits; it needs only those named by the
    /// kernel.
    func protect() {
        guard freezer == nil, let names = try? DurableFile.list(directory) else { return }
        let usual = "cgroup.procs cgroup.threads cgroup.subtree_control"
        let delegated = ControlGroup.read("/sys/kernel/cgroup/delegate") ?? usual
        let given = Set(delegated.split(whereSeparator: \.isWhitespace).map(String.init))
        for name in names where !given.contains(name) && !DurableFile.isDirectory("\(directory)/\(name)") {
            lchown("\(directory)/\(name)", 0, 0)
        }
    }
}
