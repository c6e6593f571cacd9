public import LXCCore
public import LibvirtXML

/// Runs guests on one host: containers, or system VMs.
///
/// A driver keeps no state of its own: what it reports is the hypervisor's current state. These requirements are what
/// every driver has. What else a driver can do it says by conforming to the protocols of its abilities:
/// ``TransientGuests``, ``GuestShutdown``, ``GuestSignalling``, ``GuestSuspension``, ``GuestAutostart``, ``GuestUpkeep``,
/// ``GuestConsoles``, ``ConsoleResizing``, ``GuestExecution``, ``GuestFiles``, ``GuestAgent``, ``GuestInterfaces``,
/// ``NetworkFiltering``, ``GuestLimiting`` and ``DiskMaking``. Ask with `as?`.
///
/// Check a conforming type of your own with `HypervisorDriverConformance` of the LXCTesting product.
///
/// Every method throws `LXCError` `notFound` for a guest that is not defined, `unavailable` when the hypervisor cannot be
/// reached, `unsupported` for a request this hypervisor cannot serve, and what it documents.
public protocol HypervisorDriver: Sendable {
    /// A short stable name for log metadata and metric dimensions, such as `libvirt-lxc`.
    var name: String { get }

    /// Whether other programs of this host reach the same guests, so that operations on a guest have to exclude each other
    /// between programs. True unless a driver says otherwise.
    var sharesGuests: Bool { get }

    /// The type that documents given to ``define(_:)`` must have.
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

    /// Starts a guest that is defined.
    ///
    /// - Throws: `LXCError` `invalidState` when it is running already, `hypervisor`.
    func start(_ guest: GuestName) async throws

    /// Ends the guest at once, and returns when it has ended.
    ///
    /// - Throws: `LXCError` `invalidState` when it is not running.
    func kill(_ guest: GuestName) async throws

    /// All guests, ordered by name. Guests whose names break the rules of `GuestName` belong to other programs and are
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
    /// which is reported when it can be again. The stream ends with an error when its reader is too far behind, or when the
    /// driver is closed.
    func events() async throws -> AsyncThrowingStream<GuestEvent, any Error>

    /// Replaces the element that a program keeps in a guest's metadata, be the guest running or not: in its live document
    /// and in the one of its next start. The driver does not interpret it.
    ///
    /// - Parameters:
    ///   - element: the element, whose name and those of its children are in the namespace; nil removes it.
    ///   - namespace: the program's namespace. A guest has one element of each.
    ///   - guest: the guest.
    /// - Throws: `LXCError` `invalidArgument` for an element that cannot be written as XML.
    func setMetadata(_ element: XMLFragment?, namespace: String, of guest: GuestName) async throws
}

extension HypervisorDriver {
    /// True: hypervisors are a host's, not a program's.
    public var sharesGuests: Bool { true }

    /// Asks for one guest after the other.
    public func statistics() async throws -> [GuestName: GuestStatistics] {
        var all: [GuestName: GuestStatistics] = [:]
        for guest in try await guests() where guest.state.isActive {
            do {
                all[guest.name] = try await statistics(of: guest.name)
            } catch let error as LXCError where [.notFound, .invalidState].contains(error.code) {
                // It has just ended.
            }
        }
        return all
    }
}

extension HypervisorDriver {
    /// Replaces what this package keeps with a guest, be it running or not.
    public func setContainerMetadata(_ metadata: ContainerMetadata, of guest: GuestName) async throws {
        let namespace = ContainerMetadata.namespace
        var domain = try await definition(of: guest)
        try domain.setContainerMetadata(metadata)
        let element = domain.metadata.first { $0.name.namespace == namespace }
        try await setMetadata(element, namespace: namespace, of: guest)
    }
}
