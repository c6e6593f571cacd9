public import DomainXML
public import LXCCore

/// Connects guests to networks: one way of doing so.
///
/// A driver checks what the host has, makes what is missing, and says how libvirt is to connect the guest. It does not
/// talk to libvirt: the `Interface` it returns goes into the guest's domain document, or is attached to the
/// running guest.
public protocol VifDriver: Sendable {
    /// A short stable name for log metadata and metric dimensions.
    var name: String { get }

    /// Makes what the NIC needs on the host and returns the interface for the guest's domain document.
    ///
    /// - Parameters:
    ///   - nic: what the guest is to have.
    ///   - guest: the guest's name; names on the host are derived from it.
    /// - Returns: how libvirt is to connect the guest.
    /// - Throws: `LXCError` with code `notFound` when a device of the host is not there, `invalidArgument`
    ///   when it cannot serve or a value of the NIC breaks a rule, `unsupported` when this way of connecting guests
    ///   cannot give what the NIC asks for; `CancellationError`.
    func plug(_ nic: NIC, of guest: ContainerName) async throws -> Interface

    /// Releases what ``plug(_:of:)`` made for an interface. An interface of another driver, and one that was released
    /// before, is none of its business and no error.
    ///
    /// - Throws: `LXCError` when something cannot be released; `CancellationError`.
    func unplug(_ interface: Interface) async throws
}
