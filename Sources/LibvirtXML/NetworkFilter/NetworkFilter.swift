// SPDX-License-Identifier: Apache-2.0

public import FoundationEssentials

/// A libvirt network filter: the traffic a guest may send and receive on an interface that refers to it.
///
/// ```swift
/// let filter = NetworkFilter(name: "no-arp", rules: [.init(.drop, .out, .init(.arp))])
/// let document = try filter.xml()
/// ```
public struct NetworkFilter: Hashable, Sendable {
    /// The action for a packet that matches.
    public enum Action: String, Hashable, Sendable, CaseIterable {
        /// It passes.
        case accept
        /// It is lost without a word.
        case drop
        /// It is dropped, and its sender is notified.
        case reject
        /// The rules before and after those of this filter decide.
        case `return`
        /// The next rule decides.
        case `continue`
    }

    /// The direction of a packet, seen from the guest.
    public enum Direction: String, Hashable, Sendable, CaseIterable {
        /// To the guest.
        case `in`
        /// From the guest.
        case out
        /// Both.
        case both = "inout"
    }

    /// The element of a match: what kind of packet it is, and at which layer it is looked at.
    public enum Element: String, Hashable, Sendable, CaseIterable {
        // Looked at as Ethernet frames, by ebtables.
        /// Any frame.
        case mac
        /// A frame of IEEE 802.1Q.
        case vlan
        /// The spanning tree protocol.
        case stp
        /// ARP.
        case arp
        /// Reverse ARP.
        case rarp
        /// IPv4.
        case ipv4 = "ip"
        /// IPv6.
        case ipv6
        // Looked at as packets of connections, by iptables.
        /// TCP over IPv4.
        case tcp
        /// UDP over IPv4.
        case udp
        /// UDP-Lite over IPv4.
        case udpLite = "udplite"
        /// IPsec's encapsulated payload over IPv4.
        case esp
        /// IPsec's authentication header over IPv4.
        case ah
        /// SCTP over IPv4.
        case sctp
        /// ICMP.
        case icmp
        /// IGMP.
        case igmp
        /// Any protocol over IPv4.
        case all
        // The same, by ip6tables.
        /// TCP over IPv6.
        case tcp6 = "tcp-ipv6"
        /// UDP over IPv6.
        case udp6 = "udp-ipv6"
        /// UDP-Lite over IPv6.
        case udpLite6 = "udplite-ipv6"
        /// IPsec's encapsulated payload over IPv6.
        case esp6 = "esp-ipv6"
        /// IPsec's authentication header over IPv6.
        case ah6 = "ah-ipv6"
        /// SCTP over IPv6.
        case sctp6 = "sctp-ipv6"
        /// ICMPv6.
        case icmp6 = "icmpv6"
        /// Any protocol over IPv6.
        case all6 = "all-ipv6"
    }

    /// An attribute of a match.
    public enum Attribute: String, Hashable, Sendable, CaseIterable {
        /// The sender's hardware address.
        case sourceMAC = "srcmacaddr"
        /// The protocol of a frame: `arp`, `ipv4`, `ipv6` or a number.
        case frameProtocol = "protocolid"
        /// The sender's hardware address as ARP has it.
        case arpSourceMAC = "arpsrcmacaddr"
        /// The sender's address as ARP has it.
        case arpSourceAddress = "arpsrcipaddr"
        /// The sender's address.
        case sourceAddress = "srcipaddr"
        /// The mask of the sender's address, as a prefix length.
        case sourceMask = "srcipmask"
        /// The receiver's address.
        case destinationAddress = "dstipaddr"
        /// The mask of the receiver's address, as a prefix length.
        case destinationMask = "dstipmask"
        /// The protocol inside an IP packet: `udp`, `icmpv6`, a number.
        case ipProtocol = "protocol"
        /// The first of the sender's ports.
        case sourcePortStart = "srcportstart"
        /// The last of the sender's ports.
        case sourcePortEnd = "srcportend"
        /// The first of the receiver's ports.
        case destinationPortStart = "dstportstart"
        /// The last of the receiver's ports.
        case destinationPortEnd = "dstportend"
        /// The type of an ICMP packet.
        case type
        /// The code of an ICMP packet.
        case code
        /// The states of a connection, such as `ESTABLISHED,RELATED`.
        case state
    }

    /// The packets a rule applies to.
    public struct Match: Hashable, Sendable {
        /// The type of packet.
        public var element: Element
        /// The conditions on the packet.
        public var attributes: [Attribute: String]
        /// Whether it is about all packets of the kind but these.
        public var isNegated: Bool

        /// Creates a match; without attributes it matches every packet of the kind.
        public init(_ element: Element, _ attributes: [Attribute: String] = [:], isNegated: Bool = false) {
            self.element = element
            self.attributes = attributes
            self.isNegated = isNegated
        }
    }

    /// One rule.
    public struct Rule: Hashable, Sendable {
        /// The action for the packet.
        public var action: Action
        /// The packet's direction.
        public var direction: Direction
        /// The packets the rule applies to.
        public var match: Match
        /// Whether accepting a packet of a connection accepts the rest of it, answers too.
        public var followsConnections: Bool

        /// Creates a rule.
        public init(_ action: Action, _ direction: Direction, _ match: Match, followsConnections: Bool = true) {
            self.action = action
            self.direction = direction
            self.match = match
            self.followsConnections = followsConnections
        }
    }

    /// The filter's name, unique on the host.
    public var name: String
    /// The filter's UUID: libvirt requires it to change a filter.
    public var uuid: UUID
    /// The rules. The first that matches decides; without one the packet passes.
    public var rules: [Rule]

    /// Creates a network filter.
    public init(name: String, uuid: UUID = UUID(), rules: [Rule] = []) {
        self.name = name
        self.uuid = uuid
        self.rules = rules
    }
}
