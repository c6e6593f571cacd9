// SPDX-License-Identifier: Apache-2.0

import LXCCore
import LibvirtXML

/// The rules of nftables that complement libvirt's network filters, for checks those cannot express: the address in an
/// IPv6 neighbour advertisement, and data behind extension headers and in fragments.
///
/// Every guarded port has a chain of its own, selected by a map from the port's name: a frame passes the rules of its
/// own port alone, however many there are. Frames are checked before the bridge sees them, so the rules apply towards
/// other ports and towards the host. A frame dropped here is lost whatever libvirt's rules say, and vice versa.
struct FrameRules: Sendable {
    /// The table that holds the rules of all guarded ports of the host.
    static let table = "bridge lxc_hypervisor"

    /// The host's end of the guest's cable.
    let port: String
    /// The address the guest has to send under.
    let mac: MACAddress
    /// The guest's IPv6 addresses; nil leaves all addresses to the guest.
    let addresses: [IPNetwork]?

    /// The rules for a guest that is held to `security` on a port.
    init(port: String, mac: MACAddress, security: NICSecurity) throws {
        self.port = port
        self.mac = mac
        guard !security.addresses.isEmpty else {
            addresses = nil
            return
        }
        let linkLocal = try IPNetwork(parsing: mac.linkLocalAddress)
        addresses = security.addresses.filter { $0.version == .v6 } + [linkLocal]
    }

    /// The commands that put these rules in the place of those the port had: one transaction, which can be repeated.
    var installation: String {
        let prefix = "add rule \(Self.table) \(port)"
        return Self.frame(of: port) + (frameRules + fragmentRules + neighbourRules).map { "\(prefix) \($0)\n" }.joined()
            + "add element \(Self.table) ports { \"\(port)\" : jump \(port) }\n"
    }

    /// The commands that remove a port's rules, be they there or not: one transaction.
    static func removal(of port: String) -> String {
        let element = "element \(table) ports { \"\(port)\" : jump \(port) }\n"
        return frame(of: port) + "add \(element)delete \(element)" + "delete chain \(table) \(port)\n"
    }

    /// The constant part: the table, the jump to the ports' chains, and the port's chain without rules.
    private static func frame(of port: String) -> String {
        """
        add table \(table)
        add map \(table) ports { type ifname : verdict; }
        add chain \(table) frames { type filter hook prerouting priority -250; policy accept; }
        flush chain \(table) frames
        add rule \(table) frames iifname vmap @ports
        add chain \(table) \(port)
        flush chain \(table) \(port)

        """
    }

    // MARK: Rules

    /// The types of neighbour discovery (RFC 4861): solicitations and advertisements of routers and neighbours, redirects.
    private static let discovery = "{ 133, 134, 135, 136, 137 }"

    /// Under another hardware address nothing is sent, and nothing but IP and ARP: no tags of VLANs, in which a receiver
    /// would find the rest. What follows is about IPv6 alone.
    private var frameRules: [String] {
        ["ether saddr != \(mac) drop", "ether type != { ip, arp, ip6 } drop", "ether type != ip6 accept"]
    }

    /// Neighbour discovery is neither fragmented (RFC 6980) nor behind an extension header. A first fragment shows which
    /// it is, unless its headers go on in the next one: what can do so is no header of a fragment.
    private var fragmentRules: [String] {
        [
            "exthdr frag exists frag nexthdr { 0, 43, 44, 51, 60, 135, 139, 140 } drop",
            "ip6 nexthdr != 58 icmpv6 type \(Self.discovery) drop",
            "icmpv6 type { 134, 137 } drop",
            // Farther away than the link no neighbour is.
            "icmpv6 type \(Self.discovery) ip6 hoplimit != 255 drop",
        ]
    }

    private var neighbourRules: [String] {
        // After the fixed part there are options of eight bytes or more: none, one, or one and a nonce (RFC 3971).
        var rules = [
            "icmpv6 type 133 ip6 length != { 8, 16, 24 } drop",
            "icmpv6 type { 135, 136 } ip6 length != { 24, 32, 40 } drop",
        ]
        // An option that gives a hardware address (1 the sender's, 2 the target's) gives the guest's.
        for (type, option, places) in [(133, 1, [64, 128]), (135, 1, [192, 256]), (136, 2, [192, 256])] {
            rules += places.map { otherAddress(type: type, option: option, at: $0) }
        }
        guard let addresses else { return rules }
        let targets = addresses.map { "0x" + $0.bytes.hexadecimal }.joined(separator: ", ")
        rules.append("icmpv6 type 136 @th,64,128 != { \(targets) } drop")
        // The unspecified address looks whether one is taken (RFC 4862) and reports groups.
        rules.append("ip6 saddr != { ::, \(addresses.map(\.address).joined(separator: ", ")) } drop")
        return rules
    }

    /// `@th` counts from the ICMP header on, in bits, wherever that is.
    private func otherAddress(type: Int, option: Int, at place: Int) -> String {
        "icmpv6 type \(type) ip6 length >= \(place / 8 + 8) @th,\(place),16 \(option << 8 | 1) "
            + "@th,\(place + 16),48 != 0x\(String(mac.value, radix: 16)) drop"
    }
}
