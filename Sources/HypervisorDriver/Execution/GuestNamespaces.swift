// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import LXCCore
import LinuxSystem

/// The namespaces of a container's process 1 that are not the host's, open.
final class GuestNamespaces: Sendable {
    /// The user namespace last: before, this program's privileges are those over the host's.
    private static let order = [
        (name: "ipc", kind: clinux_clone.ipc), ("uts", clinux_clone.uts), ("net", clinux_clone.net),
        ("pid", clinux_clone.pid), ("cgroup", clinux_clone.cgroup), ("mnt", clinux_clone.mount),
        ("user", clinux_clone.user),
    ]

    /// Their CLONE_NEW… flags and descriptors, in the order in which they are entered.
    let descriptors: [(kind: CInt, number: CInt)]

    /// Opens them.
    ///
    /// - Throws: `LXCError` `invalidState` when the container has ended.
    init(of first: GuestInit, shown: String) throws {
        var opened: [(kind: CInt, number: CInt)] = []
        for (name, kind) in Self.order {
            var (own, status) = (stat(), stat())
            let number = clinux_open(first.directory.raw, "ns/\(name)", O_RDONLY | clinux_o_cloexec, 0)
            guard number >= 0, fstat(number, &status) == 0, stat("/proc/self/ns/\(name)", &own) == 0 else {
                let error = LXCError(
                    .invalidState, "\(shown) has ended", cause: SystemCallError("openat", errno: errno))
                if number >= 0 { close(number) }
                for descriptor in opened { close(descriptor.number) }
                throw error
            }
            // The host's own namespace is not entered: the kernel refuses that for user namespaces.
            if status.st_ino == own.st_ino { close(number) } else { opened.append((kind, number)) }
        }
        descriptors = opened
    }

    deinit { for descriptor in descriptors { close(descriptor.number) } }
}
