// SPDX-License-Identifier: Apache-2.0

import Glibc
import LXCCore

extension PrivateLibvirtd {
    /// The lifetime of the daemon and its domains.
    public enum Lifetime: Hashable, Sendable {
        /// As long as this process: however it ends, even by SIGKILL, the daemon and every container end with it.
        case owner
        /// Longer than this process. Several processes share the daemon of a directory; it ends after `idleTimeout`
        /// without a client and without a running domain, and a later start finds the domains again.
        case lingering(idleTimeout: Duration)
    }

    /// The daemon's settings.
    public struct Configuration: Hashable, Sendable {
        /// The directory for everything of the daemon: sockets, definitions, logs. nil makes one below
        /// `/run/lxc-hypervisor`: a fresh one for a daemon of this process alone, `shared` for a lingering one.
        ///
        /// It must be root's alone. The directory of a daemon of this process alone is removed with the daemon, so it
        /// must be empty, missing, or left by such a daemon. It must not be below the directories that the daemon sees
        /// as its own: `/run/libvirt`, `/etc/libvirt`, `/var/lib/libvirt`, `/var/log/libvirt`, `/var/cache/libvirt`.
        /// For the same reason a container's files must not be there either.
        public var directory: String?
        /// The kinds of domains that must work before the start counts as done; virtual machines need virtlogd for their
        /// consoles, which is started too.
        public var drivers: Set<LibvirtKind>
        /// The lifetime of the daemon and its domains.
        public var lifetime: Lifetime
        /// The time limit for the daemon's first answer.
        public var startTimeout: Duration

        /// Creates a configuration from the settings; by default a daemon for containers that ends with this process.
        public init(
            directory: String? = nil, drivers: Set<LibvirtKind> = [.lxc], lifetime: Lifetime = .owner,
            startTimeout: Duration = .seconds(15)
        ) {
            self.directory = directory
            self.drivers = drivers
            self.lifetime = lifetime
            self.startTimeout = startTimeout
        }

        /// Checks what can be checked before anything is done.
        func validate() throws(LXCError) {
            guard !drivers.isEmpty else {
                throw LXCError(.invalidArgument, "a private libvirtd needs at least one driver")
            }
            if case .lingering(let idle) = lifetime, idle < .seconds(1) {
                throw LXCError(.invalidArgument, "the idle timeout of a private libvirtd must be at least 1 s")
            }
            if geteuid() != 0 {
                throw LXCError(.permissionDenied, "a private libvirtd can only be started by root")
            }
        }
    }
}
