import FileTree
public import LXCCore
public import LibvirtXML
public import LinuxSystem

/// Runs guests on one host: containers, or system VMs.
///
/// A driver keeps no state of its own: what it says is what the hypervisor says now. Check a conforming type of your
/// own with `HypervisorDriverConformance` of the LXCTesting product.
///
/// Every method throws `LXCError` `notFound` for a guest that is not defined, `unavailable` when the
/// hypervisor cannot be reached, `unsupported` for an operation ``capabilities`` does not name, and what it documents.
public protocol HypervisorDriver: Sendable {
    /// A short stable name for log metadata and metric dimensions, such as `libvirt-lxc`.
    var name: String { get }

    /// What this driver can do beyond defining, starting and destroying.
    var capabilities: HypervisorCapabilities { get }

    /// Whether other programs of this host reach the same guests, so that operations on a guest have to exclude each other
    /// between programs. True unless a driver says otherwise.
    var sharesGuests: Bool { get }

    /// What the documents given to `define(_:)` have as their type.
    ///
    /// - Throws: `LXCError` `unavailable`.
    func domainType() async throws -> DomainType

    /// Makes a guest known, or changes one that is: it survives its own stop and the daemon's restart.
    ///
    /// - Throws: `LXCError` `invalidArgument` naming the field, `alreadyExists` when the name and UUID belong
    ///   to two guests.
    func define(_ domain: Domain) async throws

    /// Forgets a guest that is not running. One that is running goes on and is forgotten when it ends.
    func undefine(_ guest: GuestName) async throws

    /// Starts a guest that is forgotten when it ends, for controllers that keep what they run themselves.
    ///
    /// - Throws: `LXCError` `invalidArgument` naming the field, `invalidState` when a guest of the name runs already,
    ///   `hypervisor`.
    func create(_ domain: Domain) async throws

    /// Starts a guest that is defined.
    ///
    /// - Throws: `LXCError` `invalidState` when it is running already, `hypervisor`.
    func start(_ guest: GuestName) async throws

    /// Asks the guest to end, and returns when it has been asked.
    ///
    /// - Throws: `LXCError` `invalidState` when it is not running.
    func shutdown(_ guest: GuestName) async throws

    /// Ends the guest at once, and returns when it has ended.
    ///
    /// - Throws: `LXCError` `invalidState` when it is not running.
    func destroy(_ guest: GuestName) async throws

    /// Stops the guest's processes where they are.
    ///
    /// - Throws: `LXCError` `invalidState` when it is not running.
    func suspend(_ guest: GuestName) async throws

    /// Lets a suspended guest go on.
    ///
    /// - Throws: `LXCError` `invalidState` when it is not suspended.
    func resume(_ guest: GuestName) async throws

    /// All guests, ordered by name. Guests whose names break the rules of `GuestName` are not ours and are
    /// left out.
    func guests() async throws -> [Guest]

    /// One guest.
    func guest(_ name: GuestName) async throws -> Guest

    /// The guest's document: the live one while it runs.
    func definition(of guest: GuestName) async throws -> Domain

    /// What a running guest uses.
    ///
    /// - Throws: `LXCError` `invalidState` when it is not running.
    func statistics(of guest: GuestName) async throws -> GuestStatistics

    /// What all running guests use. One that ends meanwhile is left out.
    func statistics() async throws -> [GuestName: GuestStatistics]

    /// What happens to guests from now on: every change once, also what happens while the hypervisor cannot be reached,
    /// which is told when it can be again. The stream ends with an error when its reader is too far behind, or when the
    /// driver is closed.
    func events() async throws -> AsyncThrowingStream<GuestEvent, any Error>

    /// Opens the guest's console.
    ///
    /// - Throws: `LXCError` `invalidState` when it is not running.
    func openConsole(of guest: GuestName) async throws -> any GuestConsole

    /// Runs a command inside a guest, and returns when it has begun.
    ///
    /// - Throws: `LXCError` `invalidState` when the guest is not running, `notFound` for a program, directory or user it
    ///   does not have, `invalidArgument`.
    func execute(_ command: GuestCommand, in guest: GuestName) async throws -> any GuestProcess

    /// Tells a guest's console the size of the terminal it is shown on.
    ///
    /// - Throws: `LXCError` `invalidState` when the guest is not running.
    func resizeConsole(of guest: GuestName, to size: TerminalSize) async throws

    /// The root directory as a running guest sees it, with all that is mounted there.
    ///
    /// - Throws: `LXCError` `invalidState` when the guest is not running.
    func root(of guest: GuestName) async throws -> ConfinedRoot

    /// Sends a signal to the guest's process 1.
    ///
    /// - Throws: `LXCError` `invalidState` when it is not running.
    func send(_ signal: GuestSignal, to guest: GuestName) async throws

    /// The limits of a guest: those in force while it runs, else those of its next start.
    func limits(of guest: GuestName) async throws -> GuestLimits

    /// Changes limits, of a running guest at once and of a defined one for its later starts too. A limit that is nil
    /// stays as it is.
    ///
    /// - Throws: `LXCError` `invalidArgument` for a value the hypervisor refuses, `unsupported` for a limit the host
    ///   cannot keep.
    func setLimits(_ limits: GuestLimits, of guest: GuestName) async throws

    /// Brings a running guest under what the hypervisor itself does not keep: its limit of processes. ``start(_:)`` and
    /// ``create(_:)`` do so themselves; this is for guests that the hypervisor has started by itself, or restarted.
    ///
    /// - Throws: `LXCError` `notFound`, `invalidState` when it has ended.
    func confine(_ guest: GuestName) async throws

    /// Takes away what the hypervisor leaves on the host of a guest that has ended by itself, such as control groups;
    /// ``destroy(_:)`` does so itself.
    ///
    /// - Parameter guest: the guest as it was known last; the hypervisor may have forgotten it since.
    /// - Throws: `LXCError` `unavailable` when the hypervisor cannot be reached.
    func tidy(_ guest: Guest) async throws

    /// Whether the hypervisor starts the guest when it starts itself.
    func isAutostarted(_ guest: GuestName) async throws -> Bool

    /// Has the hypervisor start the guest when it starts itself, or not.
    ///
    /// - Throws: `LXCError` `invalidState` for a guest that is forgotten when it ends.
    func setAutostart(_ isOn: Bool, of guest: GuestName) async throws

    /// Replaces what this package keeps with a guest, be it running or not.
    func setContainerMetadata(_ metadata: ContainerMetadata, of guest: GuestName) async throws

    /// Connects an interface to a guest: at once where it runs, and for its next starts. In a container the interface is
    /// up and has its name when this returns. An interface that is there already, by its hardware address, its name and
    /// its network, is no error and left as it is, but for one whose attaching was interrupted, which is completed.
    ///
    /// - Throws: `LXCError` `invalidArgument` without a hardware address, `alreadyExists` when the guest has another
    ///   interface with the address, or the container another device of the name, `invalidState` when a running guest
    ///   cannot be reached; nothing is attached then.
    func attach(_ interface: Interface, to guest: GuestName) async throws

    /// Takes the interface with a hardware address from a guest: at once where it runs, and for its next starts. A guest
    /// without such an interface is no error. A virtual machine may take a moment to let go of it.
    ///
    /// - Throws: `LXCError` `unsupported` for an interface that cannot be taken while the guest runs.
    func detach(_ address: MACAddress, from guest: GuestName) async throws

    /// Makes a network filter known, or replaces the one of its name: interfaces of running guests that refer to it are
    /// under its rules when this returns.
    ///
    /// - Throws: `LXCError` `invalidArgument` naming the field, `hypervisor`.
    func define(_ filter: NetworkFilter) async throws

    /// Forgets a network filter. One that is not known is no error.
    ///
    /// - Throws: `LXCError` while an interface of a running guest uses it.
    func undefineNetworkFilter(_ name: String) async throws

    /// Makes a disk's file on the host, in a directory in which nothing else is.
    ///
    /// - Throws: `LXCError` `invalidArgument` naming the field, `hypervisor`.
    func createDisk(_ volume: StorageVolume, in pool: DirectoryStoragePool) async throws

    /// Writes a file inside a running guest, by the agent that runs there; what the file held is gone.
    ///
    /// - Parameters:
    ///   - contents: what the file is to hold.
    ///   - path: where it is to be in the guest; its directory must be there.
    ///   - guest: the guest.
    ///   - limit: how long is waited for the agent to answer for the first time.
    /// - Throws: `LXCError` `timedOut` when no agent answers, `invalidState` when the guest is not running,
    ///   `unsupported` when it has no channel for an agent, `hypervisor` with what the agent says.
    func writeFile(
        _ contents: [UInt8], to path: String, in guest: GuestName, within limit: Duration
    ) async throws
}

extension HypervisorDriver {
    /// True: hypervisors are a host's, not a program's.
    public var sharesGuests: Bool { true }

    /// Unsupported, unless the driver can.
    public func execute(_ command: GuestCommand, in guest: GuestName) async throws -> any GuestProcess {
        throw LXCError(.unsupported, "the driver \(name) runs no commands inside guests")
    }

    /// Unsupported, unless the driver can.
    public func resizeConsole(of guest: GuestName, to size: TerminalSize) async throws {
        throw LXCError(.unsupported, "the driver \(name) does not resize consoles")
    }

    /// Unsupported, unless the driver can.
    public func root(of guest: GuestName) async throws -> ConfinedRoot {
        throw LXCError(.unsupported, "the driver \(name) does not reach the files of running guests")
    }
}

/// What a driver can do beyond defining, starting and destroying guests.
public struct HypervisorCapabilities: OptionSet, Hashable, Sendable {
    /// The bits.
    public let rawValue: UInt32

    /// Takes the bits.
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Guests can be suspended and resumed.
    public static let suspend = Self(rawValue: 1 << 0)
    /// Guests have a console.
    public static let console = Self(rawValue: 1 << 1)
    /// Guests can be asked to end.
    public static let shutdown = Self(rawValue: 1 << 2)
    /// Container ids can be mapped to other host ids.
    public static let idMap = Self(rawValue: 1 << 3)
    /// Commands can be run inside guests, and their files reached.
    public static let execution = Self(rawValue: 1 << 4)
    /// Interfaces can be attached to guests and detached from them, also while they run.
    public static let interfaces = Self(rawValue: 1 << 5)
    /// Interfaces can have network filters of our own.
    public static let networkFilters = Self(rawValue: 1 << 6)
}

/// A guest's console: bytes in both directions.
public protocol GuestConsole: Sendable {
    /// What the guest writes, from the opening on and what the console still held. Ends when the guest ends or the
    /// console is closed. Meant for one reader.
    var output: any AsyncSequence<[UInt8], any Error> & Sendable { get }

    /// Gives bytes to the guest, as if typed.
    ///
    /// - Throws: `LXCError` `invalidState` after the end.
    func write(_ bytes: [UInt8]) async throws

    /// Lets go of the console; the guest goes on.
    func close() async
}
