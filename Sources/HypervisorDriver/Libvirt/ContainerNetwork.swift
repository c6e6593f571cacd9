// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import LXCCore
import LibvirtXML
import LinuxSystem

/// The network namespace of a running container, held open: the one its init is in.
///
/// Synchronous: call it on a `BlockingPool`.
struct ContainerNetwork: ~Copyable {
    /// The identity of the namespace.
    let inode: UInt64
    private let descriptor: CInt

    /// Opens the network namespace of a container's process 1.
    ///
    /// - Throws: `LXCError` `invalidState` when it has ended, or has no network of its own.
    init(of first: GuestInit, _ guest: GuestName) throws {
        let descriptor = clinux_open(first.directory.raw, "ns/net", O_RDONLY | clinux_o_cloexec, 0)
        var (own, status) = (stat(), stat())
        guard descriptor >= 0, fstat(descriptor, &status) == 0, stat("/proc/self/ns/net", &own) == 0,
            status.st_ino != own.st_ino
        else {
            if descriptor >= 0 { close(descriptor) }
            throw LXCError(.invalidState, "\(guest) has no process with a network of its own on this host")
        }
        self.descriptor = descriptor
        inode = UInt64(status.st_ino)
    }

    deinit { close(descriptor) }

    /// Gives the container's end of a newly attached interface its name, applies ``adjust(_:)``, and switches it on. An
    /// interface attached earlier stays unchanged, unless its attachment was interrupted before this step.
    ///
    /// - Throws: `LXCError` `notFound` when no device with the interface's hardware address is in the container,
    ///   `alreadyExists` when another has the name.
    borrowing func settle(_ interface: Interface, isNew: Bool) throws {
        let links = try NetworkLinks(namespace: descriptor)
        let host = try NetworkLinks()
        var link = try end(of: interface, links, host)
        guard isNew || !link.isUp && Self.isUnnamed(link) else { return }
        if let name = interface.guestDevice, link.name != name {
            if let taken = try links.link(name) {
                throw LXCError(.alreadyExists, "the container has another network device \(taken.name) already")
            }
            try links.setName(link, name)
            link = try end(of: interface, links, host)
        }
        try adjust(interface, link, links, host)
        try links.setUp(link)
    }

    /// Completes libvirt's settings of an interface in a container, from outside of it. The host's end gets an address
    /// no bridge adopts, and the bridge's MTU, or the guest's if that is larger; the container's end gets the requested
    /// MTU, or the bridge's.
    borrowing func adjust(_ interface: Interface) throws {
        let links = try NetworkLinks(namespace: descriptor)
        let host = try NetworkLinks()
        try adjust(interface, end(of: interface, links, host), links, host)
    }

    private borrowing func adjust(
        _ interface: Interface, _ link: NetworkLink, _ links: borrowing NetworkLinks, _ host: borrowing NetworkLinks
    ) throws {
        var mtu = interface.mtu
        if case .bridge(let name) = interface.kind, let bridge = try host.link(name),
            let end = try hostEnd(interface, host)
        {
            if let address = Self.hostAddress(interface), end.address != address { try host.setAddress(end, address) }
            let wanted = max(bridge.mtu, mtu ?? 0)
            if end.mtu != wanted { try host.setMTU(end, wanted) }
            mtu = mtu ?? bridge.mtu
        }
        if let mtu, link.mtu != mtu { try links.setMTU(link, mtu) }
    }

    /// A bridge adopts the lowest address of its ports. libvirt prevents that for virtual machines in the same way:
    /// `fe`, then the guest's address; a guest whose own address begins so gets another.
    private static func hostAddress(_ interface: Interface) -> UInt64? {
        guard let mac = interface.mac else { return nil }
        return mac.value & 0xFF_FFFF_FFFF | (mac.value >> 40 == 0xFE ? 0xFA : 0xFE) << 40
    }

    /// Whether it has the name libvirt has given it, which is the host's affair.
    private static func isUnnamed(_ link: NetworkLink) -> Bool {
        link.name.hasPrefix("vnet") && link.name.dropFirst(4).allSatisfy(\.isNumber)
    }

    private borrowing func hostEnd(_ interface: Interface, _ host: borrowing NetworkLinks) throws -> NetworkLink? {
        guard let name = interface.targetDevice else { return nil }
        return try host.link(name)
    }

    /// The container's end. The container can make devices with the same address, and change its own: only the peer of
    /// the host's device qualifies.
    private borrowing func end(
        of interface: Interface, _ links: borrowing NetworkLinks, _ host: borrowing NetworkLinks
    ) throws -> NetworkLink {
        let (kind, lower): (String, NetworkLink?)
        if case .direct(let device, _) = interface.kind {
            (kind, lower) = ("macvlan", try host.link(device))
        } else {
            (kind, lower) = ("veth", try hostEnd(interface, host))
        }
        let address = interface.mac?.value
        if address != nil, let link = try links.link(ofKind: kind, address: address, on: lower) { return link }
        if let lower, let link = try links.link(ofKind: kind, address: nil, on: lower) { return link }
        throw LXCError(
            .notFound, "the container has no network device with the address \(interface.mac?.description ?? "?")")
    }
}
