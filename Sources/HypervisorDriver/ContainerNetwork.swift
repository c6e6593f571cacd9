import CLinux
import DomainXML
import FileTree
import Glibc
import LXCCore

/// The network namespace of a running container, held open: the one its init is in.
///
/// Synchronous: call it on a `BlockingPool`.
struct ContainerNetwork: ~Copyable {
    /// What tells the namespace from others.
    let inode: UInt64
    private let descriptor: CInt

    /// Opens the network namespace of a container's process 1.
    ///
    /// - Throws: `LXCError` `invalidState` when it has ended, or has no network of its own.
    init(of first: GuestInit, _ guest: ContainerName) throws {
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

    /// Gives the container's end of an interface its name, and the largest packet where one is set, and switches it on.
    ///
    /// - Throws: `LXCError` `notFound` when no device with the interface's hardware address is in the container,
    ///   `alreadyExists` when another has the name.
    borrowing func settle(_ interface: Interface) throws {
        let links = try NetworkLinks(namespace: descriptor)
        var link = try end(of: interface, links)
        if let name = interface.guestDevice, link.name != name {
            if let taken = try links.link(name) {
                throw LXCError(.alreadyExists, "the container has another network device \(taken.name) already")
            }
            try links.setName(link, name)
            link = try end(of: interface, links)
        }
        try setMTU(of: interface, link, links)
        try links.setUp(link)
    }

    /// Sets the largest packet of an interface on both its ends; libvirt leaves a container's at 1500.
    borrowing func setMTU(of interface: Interface) throws {
        guard interface.mtu != nil else { return }
        let links = try NetworkLinks(namespace: descriptor)
        try setMTU(of: interface, end(of: interface, links), links)
    }

    private borrowing func setMTU(
        of interface: Interface, _ link: NetworkLink, _ links: borrowing NetworkLinks
    ) throws {
        guard let mtu = interface.mtu else { return }
        let host = try NetworkLinks()
        if let device = interface.targetDevice, let end = try host.link(device) { try host.setMTU(end, mtu) }
        try links.setMTU(link, mtu)
    }

    private borrowing func end(of interface: Interface, _ links: borrowing NetworkLinks) throws -> NetworkLink {
        guard let mac = interface.mac, let link = try links.link(withAddress: mac.value) else {
            throw LXCError(
                .notFound, "the container has no network device with the address \(interface.mac?.description ?? "?")")
        }
        return link
    }
}
