// SPDX-License-Identifier: Apache-2.0

import Glibc
public import LXCCore

extension LXCHypervisor {
    /// How a host's containers are managed, in addition to what each specification defines.
    public struct Policy: Sendable {
        /// The delays before a container that ended by itself is restarted.
        public struct BackOff: Hashable, Sendable {
            /// The first delay; each further one is twice as long.
            public var initial: Duration
            /// The maximum delay. A container that ran longer than this starts over with the initial delay.
            public var maximum: Duration

            /// Creates a back-off; by default one second initially and one minute at most.
            public init(initial: Duration = .seconds(1), maximum: Duration = .seconds(60)) {
                self.initial = initial
                self.maximum = maximum
            }
        }

        /// The file through which CloudStack hosts on NFS pools signal to each other that they are alive.
        public struct Heartbeat: Hashable, Sendable {
            /// The host's private address, by which the other hosts identify the file.
            public var address: String
            /// The interval between writes.
            public var interval: Duration

            /// Creates a heartbeat; by default CloudStack's 60 seconds.
            public init(address: String, interval: Duration = .seconds(60)) {
                self.address = address
                self.interval = interval
            }
        }

        /// The privilege of containers whose specification defines none.
        public var defaultPrivilege = ContainerSpecification.Privilege.isolated
        /// Whether libvirt keeps the definition of a container that has ended. If `false`,
        /// ``LXCHypervisor/startContainer(_:progress:)`` starts transient containers, for controllers that keep the
        /// definitions themselves, as CloudStack does.
        public var keepsDefinitions = true
        /// How long a container may take to shut down if the caller does not specify a time.
        public var stopTimeout = Duration.seconds(30)
        /// How long to wait for a system VM's agent to answer and accept its boot arguments: 5 minutes, as in
        /// CloudStack.
        public var agentTimeout = Duration.seconds(300)
        /// How long an operation waits for other operations on the same container, of this program or another, before
        /// it fails. Copying large files into a container and cloning its root count as such operations.
        public var operationTimeout = Duration.seconds(600)
        /// A directory accessible only to this user and shared by all programs on the host that manage the same
        /// containers: lock files in it make their operations on a container mutually exclusive.
        public var lockDirectory =
            geteuid() == 0 ? "/run/lxc-hypervisor/guests" : "/tmp/lxc-hypervisor-\(geteuid())/guests"
        /// The delays before a container is restarted.
        public var backOff = BackOff()
        /// The source of the host ids for unprivileged containers.
        public var idMaps = IDMapPolicy()
        /// Where the console output of containers is stored.
        public var consoleLogs = ConsoleLogPolicy()
        /// Memory reserved for the host itself: CloudStack's `host.reserved.mem.mb`, 1024 MiB.
        public var reservedMemory = ByteCount.mebibytes(1024)
        /// Memory offered beyond the physical memory: CloudStack's `host.overcommit.mem.mb`.
        public var overcommittedMemory = ByteCount(0)
        /// The heartbeat ``LXCHypervisor/run()`` writes to the primary store; `nil` writes none.
        public var heartbeat: Heartbeat?

        /// Creates the default policy: isolated containers whose definitions libvirt keeps.
        public init() {}
    }
}
