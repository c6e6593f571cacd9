public import LXCCore
public import LibvirtXML

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
    func plug(_ nic: NIC, of guest: GuestName) async throws -> Interface

    /// Where ``plug(_:of:)`` would connect the NIC, found out without making or changing anything.
    ///
    /// - Throws: as ``plug(_:of:)``.
    func connection(of nic: NIC) async throws -> Interface.Kind

    /// Enforces a NIC's ``NIC/security`` in the place of what was enforced before, where the NIC is plugged. Whoever plugs
    /// enforces it as well. What libvirt enforces, the NIC's ``NIC/networkFilter(of:)``, is the caller's.
    ///
    /// - Throws: `LXCError` with code `unsupported` when this driver or this host cannot enforce it; what was enforced
    ///   before is still, then.
    func secure(_ nic: NIC, of guest: GuestName) async throws

    /// Releases what ``plug(_:of:)`` made for an interface. An interface of another driver, and one that was released
    /// before, is none of its business and no error.
    ///
    /// - Throws: `LXCError` when something cannot be released; `CancellationError`.
    func unplug(_ interface: Interface) async throws
}

extension VifDriver {
    /// Refuses.
    public func secure(_ nic: NIC, of guest: GuestName) async throws {
        throw LXCError(.unsupported, "the network driver \(name) cannot hold guests to rules")
    }
}
