public import FoundationEssentials
public import LXCCore
public import VifDriver

extension LXCHypervisor {
    /// What a system VM is to be: the one value from which its disk, its network interfaces and its domain document are
    /// made.
    ///
    /// System VMs are CloudStack's own virtual machines beside the containers: console proxies (`v-2-VM`), secondary
    /// storage VMs (`s-1-VM`), domain routers (`r-4-VM`). As JSON every key but `name` and `template` may be left out;
    /// `Documentation/lxcctl.md` lists the keys.
    public struct SystemVMSpecification: Hashable, Sendable {
        /// How a virtual machine's processors are made.
        public enum Acceleration: String, Hashable, Sendable, Codable, CaseIterable {
            /// By the host's processors (KVM).
            case kvm
            /// In software by QEMU, many times slower.
            case emulation = "qemu"
        }

        /// A kernel the hypervisor loads itself, in the place of what the disk would boot.
        public struct Kernel: Hashable, Sendable {
            /// The absolute path of the kernel on the host.
            public var path: String
            /// The absolute path of the initial RAM disk on the host.
            public var initialRAMDisk: String?
            /// The kernel's arguments; the boot arguments are added to them.
            public var arguments: String

            /// Creates a kernel from its files and its command line.
            public init(path: String, initialRAMDisk: String? = nil, arguments: String = "") {
                self.path = path
                self.initialRAMDisk = initialRAMDisk
                self.arguments = arguments
            }
        }

        /// The virtual machine's name.
        public var name: GuestName
        /// Its UUID.
        public var uuid: UUID
        /// The disk image, installed in the pool, that its disk differs from.
        public var template: TemplateID
        /// The name its disk gets.
        public var volume: VolumeID
        /// The pool in which its image is installed and its disk is made; nil takes the host's default pool.
        public var pool: PoolID?
        /// The size of its disk; nil takes the image's.
        public var diskSize: ByteCount?
        /// The memory it has.
        public var memory = ByteCount.mebibytes(512)
        /// How many processors it has.
        public var cpus = 1
        /// The network interfaces, of virtio hardware unless they say otherwise. A NIC of control traffic is on the
        /// link-local bridge `cloud0`, which is made when it is missing.
        public var nics: [NIC] = []
        /// What CloudStack's management server tells a system VM, one line as `template=domP type=consoleproxy …`.
        ///
        /// It is handed over by the guest's agent once the machine runs, as CloudStack's KVM agent does (`patch.sh`):
        /// the file `/var/cache/cloud/cmdline` in the guest. It often has secrets in it, so libvirt is not told of it
        /// and only the guest keeps it: it goes with ``LXCHypervisor/startSystemVM(_:)`` or
        /// ``SystemVM/start(bootArguments:)``. With a ``kernel`` of its own the machine has it on the kernel's command
        /// line instead, where every user of libvirt sees it.
        public var bootArguments: String?
        /// A kernel the hypervisor loads itself; nil boots from the disk.
        public var kernel: Kernel?
        /// How its processors are made; nil takes KVM where the host offers it, and QEMU's emulation elsewhere.
        public var acceleration: Acceleration?
        /// For whom it runs, kept with it.
        public var owner: String?
        /// A line about it, kept with it.
        public var title: String?

        /// A machine of 512 MiB and one processor without network.
        public init(name: GuestName, template: TemplateID) {
            self.name = name
            self.template = template
            uuid = UUID()
            volume = .random()
        }
    }
}
