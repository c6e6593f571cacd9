// SPDX-License-Identifier: Apache-2.0

import CLinux
import FoundationEssentials
import Glibc
import LXCCore
import LinuxSystem

/// Holds process 1 of a container back until the container is under its limits: before that it could make more
/// processes than allowed, or be killed for their memory.
///
/// It is a lock (flock(2)) on the container's ``InitLauncher``, which waits for it. The kernel releases it when this
/// program ends, so a killed program holds no container back, nor does any in a container that libvirtd starts
/// automatically.
struct StartGate: ~Copyable {
    private let file: Descriptor

    /// Closes the gate of a container; nil where its process 1 does not begin as the launcher, or another program is
    /// starting it.
    init?(of uuid: UUID) {
        guard let file = Descriptor(InitLauncher.path(of: uuid), flags: O_RDONLY),
            flock(file.raw, LOCK_EX | LOCK_NB) == 0
        else { return nil }
        self.file = file
    }

    /// Lets process 1 go on.
    consuming func open() {}

    /// Adds the waiting. The descriptor closes when the real process 1 is executed.
    static func wait(at program: UInt64, by list: inout SystemCallList) {
        let flags = UInt64(O_RDONLY | clinux_o_cloexec)
        let file = list.call(
            clinux_calls.openat, [UInt64(bitPattern: Int64(AT_FDCWD)), program, flags], to: "wait for its limits",
            tolerating: [EACCES, ENOENT, EPERM])
        let lock = list.call(
            clinux_calls.flock, [.max, UInt64(LOCK_SH)], to: "wait for its limits",
            tolerating: [EBADF, EINTR, ENOLCK, EOPNOTSUPP])
        list.store(resultOf: file, asFirstArgumentOf: lock)
    }
}
