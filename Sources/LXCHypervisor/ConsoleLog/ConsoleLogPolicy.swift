// SPDX-License-Identifier: Apache-2.0

import Glibc

extension LXCHypervisor {
    /// Where the console output of containers is stored, if their specification asks for it.
    public struct ConsoleLogPolicy: Hashable, Sendable {
        /// The directory of the logs, accessible to its owner only: `NAME.log`, and `NAME.log.1`, the previous log. Of
        /// two containers with the same name, under two libvirt daemons, only one is logged.
        public var directory =
            geteuid() == 0 ? "/var/lib/lxc-hypervisor/console" : "/tmp/lxc-hypervisor-\(geteuid())/console"
        /// The directory of the locks by which the host's programs take turns at a console; best kept in memory.
        public var lockDirectory =
            geteuid() == 0 ? "/run/lxc-hypervisor/console" : "/tmp/lxc-hypervisor-\(geteuid())/turns"

        /// Uses the default directories.
        public init() {}
    }
}
