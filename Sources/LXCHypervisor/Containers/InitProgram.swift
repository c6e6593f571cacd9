// SPDX-License-Identifier: Apache-2.0

import HypervisorDriver
import LXCCore
import LinuxSystem

/// What a container's process 1 is, as far as asking it to end goes.
enum InitProgram {
    /// The signal by which an init ends its container; nil where there is none at that path.
    ///
    /// Found in the root before the start, by the path the container would use, which leads nowhere else: what the
    /// container made of its root cannot lead it to a file of the host.
    static func stopSignal(_ path: String, in root: ConfinedRoot) async throws -> GuestSignal? {
        try await BlockingPool.shared.run { _ in
            root.program(path).map { stopSignal(of: $0.name, $0.beginning, as: path) }
        }
    }

    /// systemd halts on SIGRTMIN+3 and would only restart itself on SIGTERM; BusyBox's init powers off on SIGUSR2; other
    /// programs named init that are no scripts (SysV's, Upstart, OpenRC's) expect SIGPWR, as LXC sends it; all else is a
    /// plain program.
    private static func stopSignal(of name: String, _ beginning: [UInt8], as path: String) -> GuestSignal {
        let asked = path.split(separator: "/").last ?? ""
        if name == "systemd" { return .systemdHalt }
        if name == "busybox" { return asked == "init" || asked == "linuxrc" ? .user2 : .terminate }
        let isInit = name == "init" || name == "openrc-init"
        return isInit && !beginning.starts(with: Array("#!".utf8)) ? .powerFailure : .terminate
    }
}
