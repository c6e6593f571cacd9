import Glibc

extension LXCHypervisor {
    /// Where what containers write on their consoles is kept, of those whose specification asks for it.
    public struct ConsoleLogPolicy: Hashable, Sendable {
        /// The directory of the logs, for its owner alone: `NAME.log`, and `NAME.log.1`, which was written before. Of two
        /// containers of one name, under two libvirt daemons, one is logged.
        public var directory =
            geteuid() == 0 ? "/var/lib/lxc-hypervisor/console" : "/tmp/lxc-hypervisor-\(geteuid())/console"
        /// The directory of the locks by which the host's programs take turns at a console; best in memory.
        public var lockDirectory =
            geteuid() == 0 ? "/run/lxc-hypervisor/console" : "/tmp/lxc-hypervisor-\(geteuid())/turns"

        /// The usual directories.
        public init() {}
    }
}
