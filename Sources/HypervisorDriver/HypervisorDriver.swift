// SPDX-License-Identifier: Apache-2.0

public import LXCCore
public import LibvirtXML

/// Runs guests on one host: containers, or system VMs.
///
/// A driver keeps no state of its own: it reports the hypervisor's current state. These requirements apply to every
/// driver. It declares further abilities by conforming to their protocols: ``TransientGuests``, ``GuestShutdown``,
/// ``GuestSignalling``, ``GuestSuspension``, ``GuestAutostart``, ``GuestUpkeep``, ``GuestConsoles``,
/// ``ConsoleResizing``, ``GuestExecution``, ``GuestFiles``, ``GuestAgent``, ``GuestInterfaces``, ``NetworkFiltering``,
/// ``GuestLimiting`` and ``DiskMaking``. Query them with `as?`.
///
/// Check a conforming type of your own with `HypervisorDriverConformance` of the LXCTesting product.
///
/// Every method throws `LXCError` `notFound` for a guest that is not defined, `unavailable` if the hypervisor cannot be
/// reached, `unsupported` for a request this hypervisor cannot serve, and the codes it documents.
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

    /// Defines a guest, or changes a defined one: the definition survives the guest's stop and the daemon's restart.
    ///
    /// - Throws: `LXCError` `invalidArgument` naming the field, `alreadyExists` when the name and UUID belong
    ///   to two guests.
    func define(_ domain: Domain) async throws

    /// Removes the definition of a guest. A running guest continues and is forgotten when it ends.
    func undefine(_ guest: GuestName) async throws

    /// Starts a guest that is defined.
    ///
    /// - Throws: `LXCError` `invalidState` when it is running already, `hypervisor`.
    func start(_ guest: GuestName) async throws

    /// Kills the guest, and returns when it has ended.
    ///
    /// - Throws: `LXCError` `invalidState` when it is not running.
    func kill(_ guest: GuestName) async throws

    /// All guests, ordered by name. Guests whose names break the rules of `GuestName` belong to other programs and are
    /// omitted.
    func guests() async throws -> [Guest]

    /// One guest.
    func guest(_ name: GuestName) async throws -> Guest

    /// The guest's document: the live one while it runs.
    func definition(of guest: GuestName) async throws -> Domain

    /// The resource usage of a running guest.
    ///
    /// - Throws: `LXCError` `invalidState` when it is not running.
    func statistics(of guest: GuestName) async throws -> GuestStatistics

    /// The resource usage of all running guests. A guest that ends in the meantime is omitted.
    func statistics() async throws -> [GuestName: GuestStatistics]

    /// The events of guests from now on: every change once, including changes while the hypervisor cannot be reached,
    /// which are reported when it can be again. The stream ends with an error if its reader is too far behind, or when
    /// the driver is closed.
    func events() async throws -> AsyncThrowingStream<GuestEvent, any Error>

    /// Replaces the element that a program stores in a guest's metadata, in its live document and in the one of its
    /// next start. The driver does not interpret it.
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
    /// Replaces this package's metadata of a guest, whether it runs or not.
    public func setContainerMetadata(_ metadata: ContainerMetadata, of guest: GuestName) async throws {
        let namespace = ContainerMetadata.namespace
        var domain = try await definition(of: guest)
        try domain.setContainerMetadata(metadata)
        let element = domain.metadata.first { $0.name.namespace == namespace }
        try await setMetadata(element, namespace: namespace, of: guest)
    }
}
