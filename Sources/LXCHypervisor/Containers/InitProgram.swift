// SPDX-License-Identifier: Apache-2.0

import HypervisorDriver
import LXCCore
import LinuxSystem

/// Identifies a container's process 1, to determine how to request a shutdown.
enum InitProgram {
    /// The signal that makes an init shut down its container; `nil` if there is no program at that path.
    ///
    /// The program is looked up in the root before the start, by the path the container would use, confined to that
    /// root: whatever the container made of its root cannot lead to a file of the host.
    static func stopSignal(_ path: String, in root: ConfinedRoot) async throws -> GuestSignal? {
        try await BlockingPool.shared.run { _ in
            root.program(path).map { stopSignal(of: $0.name, $0.beginning, as: path) }
        }
    }

    /// systemd halts on SIGRTMIN+3 and would only re-execute itself on SIGTERM; BusyBox's init powers off on SIGUSR2;
    /// other programs named init that are not scripts (those of SysV, Upstart and OpenRC) expect SIGPWR, which LXC
    /// sends; everything else is a plain program.
    private static func stopSignal(of name: String, _ beginning: [UInt8], as path: String) -> GuestSignal {
        let asked = path.split(separator: "/").last ?? ""
        if name == "systemd" { return .systemdHalt }
        if name == "busybox" { return asked == "init" || asked == "linuxrc" ? .user2 : .terminate }
        let isInit = name == "init" || name == "openrc-init"
        return isInit && !beginning.starts(with: Array("#!".utf8)) ? .powerFailure : .terminate
    }
}
