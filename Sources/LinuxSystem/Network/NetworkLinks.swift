// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
package import LXCCore

/// A network device as the kernel describes it.
package struct NetworkLink: Hashable, Sendable {
    /// Its number, unique in its network namespace.
    package let index: Int32
    /// Its name.
    package let name: String
    /// The kind of virtual device: `bridge`, `vlan`, `vxlan`, `veth`, …; empty for a physical one.
    package let kind: String
    /// Its hardware address as a number, the first byte in the highest bits.
    package let address: UInt64
    /// Whether it is switched on.
    package let isUp: Bool
    /// The largest packet in bytes.
    package let mtu: Int
    /// The index of the bridge or bond it belongs to; 0 for none.
    package let master: UInt32
    /// The index of the device below it, or of a cable's other end, which may be in another namespace; 0 for none.
    package let lower: UInt32
    /// Its group.
    package let group: UInt32
    /// The VLAN's id or the VXLAN's network identifier.
    package let id: UInt32

    fileprivate init(_ link: clinux_link) {
        index = link.index
        name = text(of: link.name)
        kind = text(of: link.kind)
        address = withUnsafeBytes(of: link.address) { $0.reduce(0) { $0 << 8 | UInt64($1) } }
        isUp = link.flags & UInt32(IFF_UP) != 0
        mtu = Int(link.mtu)
        master = link.master
        lower = link.lower
        group = link.group
        id = link.id
    }
}

/// The network devices of a namespace, read and changed by rtnetlink(7): no program is run, and each change is one
/// message, done or not done.
///
/// Synchronous: call it on a ``BlockingPool``. Every method throws ``LXCError`` `permissionDenied`, `unsupported` where
/// the kernel lacks the kind of device, `io`.
package struct NetworkLinks: ~Copyable {
    private let socket: CInt

    /// The devices of this program's own network namespace, or of the one a descriptor is open on.
    package init(namespace: CInt? = nil) throws(LXCError) {
        socket = clinux_link_open(namespace ?? -1)
        guard socket >= 0 else { throw .lastSystemCall("socket", "talk to the kernel about network devices") }
    }

    deinit { close(socket) }

    /// The device of a name, or `nil`.
    package borrowing func link(_ name: String) throws(LXCError) -> NetworkLink? {
        try requireNoNUL(name, "the network device's name")
        var link = clinux_link()
        guard clinux_link_get(socket, name, &link) == 0 else {
            if errno == ENODEV { return nil }
            throw failure("look at the network device \(name)")
        }
        return NetworkLink(link)
    }

    /// The device of a kind, optionally with a hardware address and on a given lower device (for a cable's end, its
    /// other end); nil if there is none.
    package borrowing func link(
        ofKind kind: String, address: UInt64?, on lower: NetworkLink?
    ) throws(LXCError) -> NetworkLink? {
        var link = clinux_link()
        let bytes = address.map(Self.bytes)
        guard clinux_link_find(socket, bytes, kind, UInt32(lower?.index ?? 0), &link) == 0 else {
            if errno == ENODEV { return nil }
            throw failure("list the network devices")
        }
        return NetworkLink(link)
    }

    private static func bytes(_ address: UInt64) -> [UInt8] {
        (0..<6).map { UInt8(truncatingIfNeeded: address >> (40 - 8 * UInt64($0))) }
    }

    /// Makes a bridge, down and in a group.
    package borrowing func addBridge(_ name: String, group: UInt32) throws(LXCError) {
        try requireNoNUL(name, "the bridge's name")
        try check(clinux_link_add_bridge(socket, name, group), "make the bridge \(name)")
    }

    /// Makes the device of a VLAN on another, down and in a group.
    package borrowing func addVLAN(
        _ name: String, group: UInt32, id: UInt16, on lower: NetworkLink
    ) throws(LXCError) {
        try requireNoNUL(name, "the network device's name")
        try check(
            clinux_link_add_vlan(socket, name, group, UInt32(lower.index), id),
            "make the device \(name) of VLAN \(id) on \(lower.name)")
    }

    /// Makes the device of a VXLAN, down and in a group.
    ///
    /// - Parameters:
    ///   - name: the device's name.
    ///   - group: the device's group.
    ///   - id: the network identifier.
    ///   - lower: the device by which other hosts are reached.
    ///   - multicast: the IPv4 address all hosts of the network listen to.
    ///   - timeToLive: the number of routers a packet may pass.
    ///   - port: the UDP port.
    /// - Throws: as every method.
    package borrowing func addVXLAN(
        _ name: String, group: UInt32, id: UInt32, on lower: NetworkLink, multicast: UInt32, timeToLive: UInt8,
        port: UInt16
    ) throws(LXCError) {
        try requireNoNUL(name, "the network device's name")
        let result = clinux_link_add_vxlan(
            socket, name, group, UInt32(lower.index), id, multicast.bigEndian, timeToLive, port)
        try check(result, "make the device \(name) of VXLAN \(id) on \(lower.name)")
    }

    /// Removes a device. Does nothing if the device is gone.
    package borrowing func delete(_ link: NetworkLink) throws(LXCError) {
        guard clinux_link_delete(socket, link.index) < 0, errno != ENODEV else { return }
        throw failure("remove the network device \(link.name)")
    }

    /// Switches a device on.
    package borrowing func setUp(_ link: NetworkLink) throws(LXCError) {
        try check(clinux_link_set_up(socket, link.index), "switch on the network device \(link.name)")
    }

    /// Makes a device a port of a bridge.
    package borrowing func setMaster(_ link: NetworkLink, _ bridge: NetworkLink) throws(LXCError) {
        try check(
            clinux_link_set_master(socket, link.index, UInt32(bridge.index)),
            "make \(link.name) a port of the bridge \(bridge.name)")
    }

    /// Sets the hardware address.
    package borrowing func setAddress(_ link: NetworkLink, _ address: UInt64) throws(LXCError) {
        try check(
            clinux_link_set_address(socket, link.index, Self.bytes(address)),
            "set the hardware address of the network device \(link.name)")
    }

    /// Sets the largest packet.
    package borrowing func setMTU(_ link: NetworkLink, _ mtu: Int) throws(LXCError) {
        try check(
            clinux_link_set_mtu(socket, link.index, UInt32(clamping: mtu)),
            "set the MTU of the network device \(link.name) to \(mtu)")
    }

    /// Renames a device that is down.
    package borrowing func setName(_ link: NetworkLink, _ name: String) throws(LXCError) {
        try requireNoNUL(name, "the network device's name")
        try check(
            clinux_link_set_name(socket, link.index, name), "rename the network device \(link.name) to \(name)")
    }

    /// Stops the kernel from giving a device an IPv6 address automatically. Does nothing on a host without IPv6.
    package borrowing func setNoIPv6Address(_ link: NetworkLink) throws(LXCError) {
        guard clinux_link_set_no_ipv6_address(socket, link.index) < 0, errno != EAFNOSUPPORT else { return }
        throw failure("keep IPv6 addresses from the network device \(link.name)")
    }

    /// Gives a device an IPv4 address. Does nothing if the device has it.
    package borrowing func addAddress(
        _ link: NetworkLink, _ address: UInt32, prefixLength: UInt8
    ) throws(LXCError) {
        guard clinux_link_add_address(socket, link.index, address.bigEndian, prefixLength) < 0, errno != EEXIST else {
            return
        }
        throw failure("give the network device \(link.name) an address")
    }

    /// Whether a device has an IPv4 address.
    package borrowing func hasAddress(_ link: NetworkLink) throws(LXCError) -> Bool {
        let answer = clinux_link_has_address(socket, link.index)
        guard answer >= 0 else { throw failure("list the addresses of the network device \(link.name)") }
        return answer == 1
    }

    private borrowing func check(_ result: CInt, _ doing: String) throws(LXCError) {
        if result < 0 { throw failure(doing) }
    }

    private borrowing func failure(_ doing: String) -> LXCError { .lastSystemCall("rtnetlink", doing) }
}

private func text(of field: some Any) -> String {
    withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
}
