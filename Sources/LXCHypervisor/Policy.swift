// SPDX-License-Identifier: Apache-2.0

import Glibc
public import LXCCore

extension LXCHypervisor {
    /// How a host's containers are kept, beside what each specification says.
    public struct Policy: Sendable {
        /// The waits before a container that ended by itself is started again.
        public struct BackOff: Hashable, Sendable {
            /// The first wait; each further one is twice as long.
            public var initial: Duration
            /// The longest wait. Who ran longer than that begins with the first again.
            public var maximum: Duration

            /// Creates a back-off; by default one second, and one minute.
            public init(initial: Duration = .seconds(1), maximum: Duration = .seconds(60)) {
                self.initial = initial
                self.maximum = maximum
            }
        }

        /// The file by which CloudStack's hosts on NFS pools show each other that they are alive.
        public struct Heartbeat: Hashable, Sendable {
            /// The host's private address, by which the others know the file.
            public var address: String
            /// The time between two writes.
            public var interval: Duration

            /// Creates a heartbeat; by default CloudStack's 60 seconds.
            public init(address: String, interval: Duration = .seconds(60)) {
                self.address = address
                self.interval = interval
            }
        }

        /// The privilege of containers whose specifications name none.
        public var defaultPrivilege = ContainerSpecification.Privilege.isolated
        /// Whether libvirt keeps the definition of a container that ended. Without it
        /// ``LXCHypervisor/startContainer(_:progress:)`` starts containers that libvirt forgets when they end, for
        /// controllers that keep what they run themselves, as CloudStack does.
        public var keepsDefinitions = true
        /// How long a container that is asked to end has for it, where the caller does not say.
        public var stopTimeout = Duration.seconds(30)
        /// How long a system VM has until its agent answers, to be given its boot arguments: as CloudStack, 5 minutes.
        public var agentTimeout = Duration.seconds(300)
        /// How long an operation waits for others on the same container, of this program or another, before it fails.
        /// Copies of large files into a container and clones of its root are such operations.
        public var operationTimeout = Duration.seconds(600)
        /// A directory of this user's alone, the same for all programs on the host that drive the same containers: by
        /// files in it their operations on a container exclude each other.
        public var lockDirectory =
            geteuid() == 0 ? "/run/lxc-hypervisor/guests" : "/tmp/lxc-hypervisor-\(geteuid())/guests"
        /// The waits before a container is started again.
        public var backOff = BackOff()
        /// Where unprivileged containers get their ids from.
        public var idMaps = IDMapPolicy()
        /// Where what containers write on their consoles is kept.
        public var consoleLogs = ConsoleLogPolicy()
        /// Memory kept for the host itself: CloudStack's `host.reserved.mem.mb`, 1024 MiB.
        public var reservedMemory = ByteCount.mebibytes(1024)
        /// Memory promised beyond what there is: CloudStack's `host.overcommit.mem.mb`.
        public var overcommittedMemory = ByteCount(0)
        /// The heartbeat ``LXCHypervisor/run()`` writes into the primary store; nil writes none.
        public var heartbeat: Heartbeat?

        /// Creates the default policy: isolated containers whose definitions libvirt keeps.
        public init() {}
    }
}
