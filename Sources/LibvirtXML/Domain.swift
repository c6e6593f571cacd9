// SPDX-License-Identifier: Apache-2.0

public import FoundationEssentials
public import LXCCore

/// A libvirt domain document: the complete description of one guest.
///
/// ```swift
/// var domain = Domain(type: .lxc, name: "i-2-3-VM", os: .container(initPath: "/sbin/init"))
/// domain.memory = .mebibytes(512)
/// domain.filesystems = [Filesystem(.mount("/mnt/primary/root"), target: "/")]
/// let document = try domain.xml()
/// ```
///
/// Everything the properties do not model stays in ``other``, and in the `other` of each device, so reading a document,
/// changing a value and writing it again leaves the rest unchanged.
public struct Domain: Hashable, Sendable {
    /// The kind of guest.
    public var type: DomainType
    /// The guest's name. Empty if the document has none; such a domain cannot be written.
    public var name: String
    /// The guest's UUID; `nil` lets libvirt make one.
    public var uuid: UUID?
    /// A short description in one line.
    public var title: String?
    /// A description for people, of any length.
    public var description: String?
    /// Data that programs store with the domain: elements in namespaces of their own, one element for each namespace.
    public var metadata: [XMLFragment] = []
    /// The most memory the guest can ever have. Written in KiB, rounded up.
    public var memory: ByteCount?
    /// The memory the guest has at its start. Written in KiB, rounded up.
    public var currentMemory: ByteCount?
    /// Limits of block device access.
    public var blockIOTuning = BlockIOTuning()
    /// Limits of memory use.
    public var memoryTuning = MemoryTuning()
    /// The virtual processors; in a container the processors it may see.
    public var virtualCPUs: VirtualCPUs?
    /// The share of processor time.
    public var cpuTuning = CPUTuning()
    /// The program of the guest, and the way it is started.
    public var os: OperatingSystem
    /// The mapping of the container's ids to host ids; nil leaves the container's root the host's root.
    public var idMap: IDMap?
    /// Features of the virtual machine or of the container.
    public var features = Features()
    /// The base of the guest's clock.
    public var clock: ClockOffset?
    /// The action when the guest powers off.
    public var onPowerOff: LifecycleAction?
    /// The action when the guest reboots.
    public var onReboot: LifecycleAction?
    /// The action when the guest crashes.
    public var onCrash: CrashAction?
    /// The program that runs the guest; nil leaves the choice to libvirt.
    public var emulator: String?
    /// The disks.
    public var disks: [Disk] = []
    /// The directories and file systems given to the guest; a container's root is the one with target `/`.
    public var filesystems: [Filesystem] = []
    /// The network interfaces; a container sees them as eth0, eth1, … in this order.
    public var interfaces: [Interface] = []
    /// The serial ports.
    public var serials: [CharacterDevice] = []
    /// The consoles.
    public var consoles: [CharacterDevice] = []
    /// The channels between host and guest.
    public var channels: [Channel] = []
    /// The host's devices given to the guest.
    public var hostDevices: [HostDevice] = []
    /// The model of the memory balloon.
    public var memoryBalloon: MemoryBalloonModel?
    /// The parts of the document no property models; the element's name is of no account.
    public var other = XMLFragment("domain")

    /// A domain with nothing but the values every domain has.
    public init(type: DomainType, name: String, os: OperatingSystem) {
        self.type = type
        self.name = name
        self.os = os
    }
}
