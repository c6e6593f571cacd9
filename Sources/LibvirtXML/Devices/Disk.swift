// SPDX-License-Identifier: Apache-2.0

/// A guest's disk: libvirt's `<disk>`.
public struct Disk: Hashable, Sendable {
    /// The type of device the guest sees.
    public enum Device: String, Hashable, Sendable, Codable, CaseIterable {
        /// A hard disk.
        case disk
        /// A CD-ROM drive.
        case cdrom
        /// A floppy drive.
        case floppy
        /// A SCSI unit that executes the guest's commands itself.
        case lun
    }

    /// The location of the contents.
    public enum Source: Hashable, Sendable {
        /// A file of the host; nil is a drive without a medium.
        case file(String?)
        /// A block device of the host; nil is a drive without a medium.
        case block(String?)
        /// A type unknown to this model; its `<source>` stays in ``Disk/other``.
        case other(type: String)
    }

    /// The type of device the guest sees.
    public var device: Device
    /// The location of the contents.
    public var source: Source
    /// The program that serves the disk, such as `qemu`; nil in containers.
    public var driverName: String?
    /// The format of the contents, such as `raw` or `qcow2`.
    public var format: String?
    /// The name the guest gives the disk, such as `vda`; a hint for virtual machines.
    public var target: String
    /// The bus the guest sees the disk on, such as `virtio`.
    public var bus: String?
    /// Whether the guest can only read.
    public var isReadOnly = false
    /// The serial number the guest sees.
    public var serial: String?
    /// The place among the devices to boot from, from 1.
    public var bootOrder: Int?
    /// The parts of the element no property models; the element's name is of no account.
    public var other = XMLFragment("disk")

    /// A disk of the given contents.
    public init(_ source: Source, target: String, bus: String? = nil, device: Device = .disk) {
        self.source = source
        self.target = target
        self.bus = bus
        self.device = device
    }
}
