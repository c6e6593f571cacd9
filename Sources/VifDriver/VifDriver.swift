// SPDX-License-Identifier: Apache-2.0

public import LXCCore
public import LibvirtXML

/// Connects guests to networks: one way of doing so.
///
/// A driver checks the host's devices, makes missing ones, and returns the connection for libvirt. It does not talk to
/// libvirt: the `Interface` it returns goes into the guest's domain document, or is attached to the running guest. A
/// driver that enforces rules on guests conforms to ``NICSecuring``.
///
/// A driver refuses features it lacks, with ``NIC/require(only:of:by:)``, and ignores none. Check a conforming type of
/// your own with `VifDriverConformance` of the LXCTesting product.
public protocol VifDriver: Sendable {
    /// A short stable name for log metadata and metric dimensions.
    var name: String { get }

    /// Makes the devices the NIC needs on the host and returns the interface for the guest's domain document.
    ///
    /// - Parameters:
    ///   - nic: the NIC the guest is to have.
    ///   - guest: the guest's name; names on the host are derived from it.
    /// - Returns: the guest's connection for libvirt.
    /// - Throws: `LXCError` with code `notFound` if a device of the host does not exist, `invalidArgument` if it is
    ///   unsuitable or a value of the NIC breaks a rule, `unsupported` if this driver lacks a feature the NIC requests;
    ///   `CancellationError`.
    func plug(_ nic: NIC, of guest: GuestName) async throws -> Interface

    /// The connection that ``plug(_:of:)`` would make, without making or changing anything.
    ///
    /// - Throws: as ``plug(_:of:)``.
    func connection(of nic: NIC) async throws -> Interface.Kind

    /// Releases what ``plug(_:of:)`` made for an interface. Ignores interfaces made by other drivers and interfaces already
    /// released.
    ///
    /// - Throws: `LXCError` when something cannot be released; `CancellationError`.
    func unplug(_ interface: Interface) async throws
}

/// A VIF driver that enforces a NIC's security beyond what libvirt's network filters do.
public protocol NICSecuring: VifDriver {
    /// Enforces a NIC's ``NIC/security`` in the place of what was enforced before, where the NIC is plugged.
    /// ``VifDriver/plug(_:of:)`` enforces it as well. What libvirt enforces, the NIC's ``NIC/networkFilter(of:)``, is the
    /// caller's.
    ///
    /// - Throws: `LXCError` with code `unsupported` when this host cannot enforce it; what was enforced before is still,
    ///   then.
    func secure(_ nic: NIC, of guest: GuestName) async throws
}
