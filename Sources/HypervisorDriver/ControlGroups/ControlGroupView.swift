// SPDX-License-Identifier: Apache-2.0

import CLinux
import FoundationEssentials
import Glibc
import LXCCore

/// The container's view of control groups. libvirt shows it the host's own trees: the names and the usage of all
/// others, and, if the container's root is the host's, groups outside of the container's limits to move to.
///
/// With version 2 alone, and for a container whose root is the host's, its ``InitLauncher`` makes a control group
/// namespace, in which only the container's own group exists, and mounts that at `/sys/fs/cgroup`. In the remaining
/// case, containers without the host's root and controllers of version 1, no part could be given to them, and the path
/// is covered.
struct ControlGroupView: Sendable {
    static let target = "/sys/fs/cgroup"

    private let isAlone: Bool
    private let uuid: UUID

    /// - Parameters:
    ///   - isAlone: whether all control groups of the host are of version 2.
    ///   - uuid: the container's.
    init(isAlone: Bool, _ uuid: UUID) {
        self.isAlone = isAlone
        self.uuid = uuid
    }

    /// Whether a path in a container is that of control groups, or inside it.
    static func holds(_ place: String) -> Bool { place == target || place.hasPrefix(target + "/") }

    /// The name of the version 2 group of a container whose limits are of version 1.
    static func group(of uuid: UUID) -> String { "guest-\(uuid.uuidString.lowercased())" }

    /// Adds the system calls that mount the view. It continues after any failure: then the path is covered.
    func show(by list: inout SystemCallList) {
        let calls = clinux_calls
        let here = UInt64(bitPattern: Int64(AT_FDCWD))
        let any = [EPERM, EINVAL, ENOENT, EBUSY, ENODEV, EACCES, EROFS, EEXIST]
        let (detach, readOnly, plain): (UInt64, UInt64, UInt64) = (2, 1, 2 | 4 | 8)
        let (type, place) = (list.place("cgroup2"), list.place(Self.target))
        func call(_ number: Int, _ arguments: [UInt64]) {
            list.call(number, arguments, to: "show control groups", tolerating: any)
        }
        call(calls.umount2, [place, detach])
        let memory = list.place("tmpfs")
        call(calls.mount, [memory, place, memory, plain | readOnly, list.place("size=64k,mode=755")])
        if !isAlone {
            // With its limits elsewhere it has no group of its own there yet, and may make one: its root is the host's.
            let host = "/dev/.lxc-hypervisor-groups"
            let (tree, home) = (list.place(host), "\(host)/\(CommandControlGroup.home)")
            let own = "\(home)/\(Self.group(of: uuid))"
            call(calls.mkdirat, [here, tree, 0o700])
            call(calls.mount, [type, tree, type, plain, 0])
            call(calls.mkdirat, [here, list.place(home), 0o755])
            call(calls.mkdirat, [here, list.place(own), 0o755])
            let flags = UInt64(O_WRONLY | clinux_o_cloexec)
            let file = list.call(
                calls.openat, [here, list.place("\(own)/cgroup.procs"), flags], to: "show control groups",
                tolerating: any)
            let write = list.call(
                calls.write, [.max, list.place(Array("0".utf8)), 1], to: "show control groups",
                tolerating: any.dropLast() + [EBADF])
            list.store(resultOf: file, asFirstArgumentOf: write)
            call(calls.umount2, [tree, detach])
            call(calls.unlinkat, [here, tree, UInt64(AT_REMOVEDIR)])
        }
        call(calls.unshare, [UInt64(clinux_clone.cgroup)])
        call(calls.mount, [type, place, type, plain, 0])
    }
}
