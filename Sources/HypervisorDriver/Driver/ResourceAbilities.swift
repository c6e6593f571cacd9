public import LXCCore
public import LibvirtXML

/// A driver that attaches and detaches guests' interfaces, also while they run.
public protocol GuestInterfaces: HypervisorDriver {
    /// Attaches an interface to a guest: immediately if it runs, and for its next starts. In a container the interface
    /// is up and has its name when this returns. An interface that exists already, by its hardware address, its name
    /// and its network, stays unchanged, except that an interrupted attachment is completed.
    ///
    /// - Throws: `LXCError` `invalidArgument` without a hardware address, `alreadyExists` when the guest has another
    ///   interface with the address, or the container another device of the name, `invalidState` when a running guest
    ///   cannot be reached; nothing is attached then.
    func attach(_ interface: Interface, to guest: GuestName) async throws

    /// Detaches the interface with a hardware address from a guest: immediately if it runs, and for its next starts.
    /// Succeeds if the guest has no such interface. A virtual machine may take a moment to release it.
    ///
    /// - Throws: `LXCError` `unsupported` for an interface that cannot be taken while the guest runs.
    func detach(_ address: MACAddress, from guest: GuestName) async throws
}

/// A driver that holds interfaces to network filters.
public protocol NetworkFiltering: HypervisorDriver {
    /// Makes a network filter known, or replaces the one of its name: interfaces of running guests that refer to it are
    /// under its rules when this returns.
    ///
    /// - Throws: `LXCError` `invalidArgument` naming the field, `hypervisor`.
    func define(_ filter: NetworkFilter) async throws

    /// Forgets a network filter. Succeeds if it is not known.
    ///
    /// - Throws: `LXCError` while an interface of a running guest uses it.
    func undefineNetworkFilter(_ name: String) async throws
}

/// A driver that reads limits of guests, and changes them while they run.
public protocol GuestLimiting: HypervisorDriver {
    /// The limits of a guest: those in force while it runs, else those of its next start.
    func limits(of guest: GuestName) async throws -> GuestLimits

    /// Changes limits, of a running guest at once and of a defined one for its later starts too. All of the change is
    /// checked before any of it is made.
    ///
    /// - Throws: `LXCError` `invalidArgument` for a value the hypervisor refuses, `unsupported` for a limit the host
    ///   cannot keep.
    func setLimits(_ change: GuestLimits.Change, of guest: GuestName) async throws
}

/// A driver that makes disks for guests.
public protocol DiskMaking: HypervisorDriver {
    /// Makes a disk's file on the host, in a directory in which nothing else is.
    ///
    /// - Throws: `LXCError` `invalidArgument` naming the field, `hypervisor`.
    func createDisk(_ volume: StorageVolume, in pool: DirectoryStoragePool) async throws
}
