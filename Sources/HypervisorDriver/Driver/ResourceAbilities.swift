// SPDX-License-Identifier: Apache-2.0

public import LXCCore
public import LibvirtXML

/// A driver that attaches and detaches guests' interfaces, even while the guests run.
public protocol GuestInterfaces: HypervisorDriver {
    /// Attaches an interface to a guest: immediately if it runs, and for its next starts. In a container the interface
    /// is up and has its name when this returns. An interface that exists already, by its hardware address, its name
    /// and its network, stays unchanged, except that an interrupted attachment is completed.
    ///
    /// - Throws: `LXCError` `invalidArgument` without a hardware address, `alreadyExists` if the guest has another
    ///   interface with the address, or the container another device of the name, `invalidState` if a running guest
    ///   cannot be reached; nothing is attached then.
    func attach(_ interface: Interface, to guest: GuestName) async throws

    /// Detaches the interface with a hardware address from a guest: immediately if it runs, and for its next starts.
    /// Succeeds if the guest has no such interface. A virtual machine may take a moment to release it.
    ///
    /// - Throws: `LXCError` `unsupported` for an interface that cannot be detached while the guest runs.
    func detach(_ address: MACAddress, from guest: GuestName) async throws
}

/// A driver that enforces network filters on interfaces.
public protocol NetworkFiltering: HypervisorDriver {
    /// Defines a network filter or replaces the one of its name: its rules apply to interfaces of running guests that
    /// refer to it by the time this returns.
    ///
    /// - Throws: `LXCError` `invalidArgument` naming the field, `hypervisor`.
    func define(_ filter: NetworkFilter) async throws

    /// Undefines a network filter. Succeeds if it does not exist.
    ///
    /// - Throws: `LXCError` if an interface of a running guest uses it.
    func undefineNetworkFilter(_ name: String) async throws
}

/// A driver that reads guests' limits and changes them while the guests run.
public protocol GuestLimiting: HypervisorDriver {
    /// The limits of a guest: the current ones if it is running, otherwise those for its next start.
    func limits(of guest: GuestName) async throws -> GuestLimits

    /// Changes a guest's limits: immediately if it runs, and for later starts if it is defined. The whole change is
    /// checked before any of it is applied.
    ///
    /// - Throws: `LXCError` `invalidArgument` for a value the hypervisor rejects, `unsupported` for a limit the host
    ///   cannot enforce.
    func setLimits(_ change: GuestLimits.Change, of guest: GuestName) async throws
}

/// A driver that creates disks for guests.
public protocol DiskMaking: HypervisorDriver {
    /// Creates a disk's file on the host, in an otherwise empty directory.
    ///
    /// - Throws: `LXCError` `invalidArgument` naming the field, `hypervisor`.
    func createDisk(_ volume: StorageVolume, in pool: DirectoryStoragePool) async throws
}
