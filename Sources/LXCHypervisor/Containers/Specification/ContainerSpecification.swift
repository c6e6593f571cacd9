// SPDX-License-Identifier: Apache-2.0

public import FoundationEssentials
public import HypervisorDriver
public import LXCCore
public import LibvirtXML
public import VifDriver

extension LXCHypervisor {
    /// What a container is to be: the one value from which its volume, its network interfaces and its domain document are
    /// made.
    ///
    /// As JSON every key but `name` and `template` may be left out; `Documentation/lxcctl.md` lists the keys.
    public struct ContainerSpecification: Hashable, Sendable {
        /// Whether the container's root is the host's root.
        public enum Privilege: Hashable, Sendable {
            /// Unprivileged, with a range of host ids that no other container of the host has: chosen when the container is
            /// created, as ``IDMapPolicy`` says.
            case isolated
            /// Container ids are other, powerless ids on the host.
            case unprivileged(IDMap)
            /// Container ids are host ids: the container's root is the host's root, held by capabilities alone.
            /// CloudStack's containers are so.
            case privileged
        }

        /// What is run as process 1.
        public struct InitProcess: Hashable, Sendable {
            /// The program's path inside the container.
            public var path: String
            /// Its arguments, its name not among them.
            public var arguments: [String]
            /// Its environment.
            public var environment: [String: String]

            /// Creates a description of process 1; by default `/sbin/init` without arguments.
            public init(path: String = "/sbin/init", arguments: [String] = [], environment: [String: String] = [:]) {
                self.path = path
                self.arguments = arguments
                self.environment = environment
            }
        }

        /// The container's name.
        public var name: GuestName
        /// Its UUID.
        public var uuid: UUID
        /// The template, installed in the pool, that its root volume is cloned from.
        public var template: TemplateID
        /// The name its root volume gets.
        public var volume: VolumeID
        /// The pool in which its template is installed and its root volume is made; nil takes the host's default pool.
        public var pool: PoolID?
        /// Whether the container's root is the host's root; nil for the host's default, ``Policy/defaultPrivilege``.
        public var privilege: Privilege?
        /// What is run as process 1.
        public var initProcess = InitProcess()
        /// How many processors it has.
        public var cpus = 1
        /// Its limits, which ``Container/setLimits(_:)`` changes later. A container always has a limit of memory.
        public var limits = GuestLimits.standard
        /// The signal that asks process 1 to end; nil lets what process 1 is decide.
        public var stopSignal: GuestSignal?
        /// What happens when it ends without having been stopped, while ``LXCHypervisor/run()`` watches; one that is to run
        /// always is started by that for the first time, too.
        public var restart = ContainerMetadata.RestartPolicy.never
        /// Whether libvirt starts it when it starts itself.
        public var isAutostarted = false
        /// The network interfaces: eth0, eth1, … in the order of their device ids.
        public var nics: [NIC] = []
        /// How much is kept of what it writes on its console, while ``LXCHypervisor/run()`` watches: at least 8 KiB;
        /// nil keeps nothing. ``Container/consoleLog(after:last:)`` reads it.
        public var consoleLog: ByteCount?
        /// What makes its root its own; nil leaves the volume as the template is.
        public var identity: GuestIdentity? = GuestIdentity()
        /// For whom it runs, kept with it.
        public var owner: String?
        /// A line about it, kept with it.
        public var title: String?

        /// Creates the specification of a container of 512 MiB and one processor without network.
        public init(name: GuestName, template: TemplateID, privilege: Privilege? = nil) {
            self.name = name
            self.template = template
            self.privilege = privilege
            uuid = UUID()
            volume = .random()
        }

        /// The id map its owners are cloned through; nil when it is privileged. Until one is chosen the standard one.
        public var idMap: IDMap? {
            switch privilege {
            case nil, .isolated: .standard
            case .unprivileged(let map): map
            case .privileged: nil
            }
        }
    }
}
