// SPDX-License-Identifier: Apache-2.0

public import FoundationEssentials
public import LXCCore
public import VifDriver

extension LXCHypervisor {
    /// The specification of a system VM, from which its disk, its network interfaces and its domain document are
    /// created.
    ///
    /// System VMs are CloudStack's own virtual machines, running alongside the containers: console proxies (`v-2-VM`),
    /// secondary storage VMs (`s-1-VM`), domain routers (`r-4-VM`). In JSON, only the keys `name` and `template` are
    /// required; `Documentation/lxcctl.md` lists the keys.
    public struct SystemVMSpecification: Hashable, Sendable {
        /// The way a virtual machine's processors are virtualized.
        public enum Acceleration: String, Hashable, Sendable, Codable, CaseIterable {
            /// Hardware virtualization by the host's processors (KVM).
            case kvm
            /// Software emulation by QEMU, many times slower.
            case emulation = "qemu"
        }

        /// A kernel that the hypervisor loads itself instead of booting from the disk.
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
        /// The disk image, installed in the pool, that backs its disk.
        public var template: TemplateID
        /// The id of its disk.
        public var volume: VolumeID
        /// The pool that holds its image and its disk; `nil` uses the host's default pool.
        public var pool: PoolID?
        /// The size of its disk; `nil` uses the image's.
        public var diskSize: ByteCount?
        /// The size of its memory.
        public var memory = ByteCount.mebibytes(512)
        /// The number of its processors.
        public var cpus = 1
        /// The network interfaces, of model virtio unless specified otherwise. A NIC for control traffic is on the
        /// link-local bridge `cloud0`, which is created if it is missing.
        public var nics: [NIC] = []
        /// The boot arguments from CloudStack's management server, on one line, such as `template=domP
        /// type=consoleproxy …`.
        ///
        /// The guest's agent writes them to `/var/cache/cloud/cmdline` in the guest once the machine runs, as
        /// CloudStack's KVM agent does (`patch.sh`). They often contain secrets, so they are not passed to libvirt and
        /// only the guest stores them: they are passed by ``LXCHypervisor/startSystemVM(_:)`` or
        /// ``SystemVM/start(bootArguments:)``. A machine with a ``kernel`` of its own has them on the kernel's command
        /// line instead, where every user of libvirt can see them.
        public var bootArguments: String?
        /// A kernel that the hypervisor loads itself; `nil` boots from the disk.
        public var kernel: Kernel?
        /// The way its processors are virtualized; `nil` uses KVM if the host offers it, otherwise QEMU's emulation.
        public var acceleration: Acceleration?
        /// The owner, stored with the machine.
        public var owner: String?
        /// A one-line description, stored with the machine.
        public var title: String?

        /// Creates a machine with 512 MiB of memory, one processor and no network.
        public init(name: GuestName, template: TemplateID) {
            self.name = name
            self.template = template
            uuid = UUID()
            volume = .random()
        }
    }
}
