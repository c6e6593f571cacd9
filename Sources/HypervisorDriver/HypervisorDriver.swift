public import DomainXML
public import LXCCore

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

    /// What the documents given to ``define(_:)`` have as their type.
    ///
    /// - Throws: `LXCError` `unavailable`.
    func domainType() async throws -> DomainType

    /// Makes a guest known, or changes one that is: it survives its own stop and the daemon's restart.
    ///
    /// - Throws: `LXCError` `invalidArgument` naming the field, `alreadyExists` when the name and UUID belong
    ///   to two guests.
    func define(_ domain: Domain) async throws

    /// Forgets a guest that is not running. One that is running goes on and is forgotten when it ends.
    func undefine(_ guest: ContainerName) async throws

    /// Starts a guest that is defined.
    ///
    /// - Throws: `LXCError` `invalidState` when it is running already, `hypervisor`.
    func start(_ guest: ContainerName) async throws

    /// Asks the guest to end, and returns when it has been asked.
    ///
    /// - Throws: `LXCError` `invalidState` when it is not running.
    func shutdown(_ guest: ContainerName) async throws

    /// Ends the guest at once, and returns when it has ended.
    ///
    /// - Throws: `LXCError` `invalidState` when it is not running.
    func destroy(_ guest: ContainerName) async throws

    /// Stops the guest's processes where they are.
    ///
    /// - Throws: `LXCError` `invalidState` when it is not running.
    func suspend(_ guest: ContainerName) async throws

    /// Lets a suspended guest go on.
    ///
    /// - Throws: `LXCError` `invalidState` when it is not suspended.
    func resume(_ guest: ContainerName) async throws

    /// All guests, ordered by name. Guests whose names break the rules of `ContainerName` are not ours and are
    /// left out.
    func guests() async throws -> [Guest]

    /// One guest.
    func guest(_ name: ContainerName) async throws -> Guest

    /// The guest's document: the live one while it runs.
    func definition(of guest: ContainerName) async throws -> Domain

    /// What a running guest uses.
    ///
    /// - Throws: `LXCError` `invalidState` when it is not running.
    func statistics(of guest: ContainerName) async throws -> GuestStatistics

    /// What happens to guests from now on. The stream ends with an error when the hypervisor is lost.
    func events() async throws -> AsyncThrowingStream<GuestEvent, any Error>

    /// Opens the guest's console.
    ///
    /// - Throws: `LXCError` `invalidState` when it is not running.
    func openConsole(of guest: ContainerName) async throws -> any GuestConsole
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
