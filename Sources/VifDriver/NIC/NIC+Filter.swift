// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
public import LXCCore
public import LibvirtXML
import OpenSSL

extension NIC {
    /// The network filter that enforces ``security``, to be defined before the guest starts; nil without security.
    ///
    /// The filter is this NIC's alone and always has the same name and UUID, so redefining it changes a running guest's
    /// permissions immediately.
    ///
    /// - Throws: `LXCError` `invalidArgument` without a hardware address, `unsupported` for a protocol libvirt's filters
    ///   do not know.
    public func networkFilter(of guest: GuestName) throws -> NetworkFilter? {
        guard let security else { return nil }
        guard let mac else { throw Self.needsAddress(deviceID) }
        try security.check()
        let name = networkFilterName(of: guest)
        return NetworkFilter(name: name, uuid: Self.filterUUID(name), rules: try security.filterRules(mac))
    }

    /// The name of the filter that enforces ``security``, to which the interface refers.
    public func networkFilterName(of guest: GuestName) -> String {
        Self.networkFilterPrefix + hostDevice(of: guest)
    }

    /// The prefix that distinguishes the names of these filters.
    package static let networkFilterPrefix = "lxc-hypervisor-"

    static func needsAddress(_ deviceID: Int) -> LXCError {
        LXCError(.invalidArgument, "NIC \(deviceID) has security rules but no hardware address to hold the guest to")
    }

    private static func filterUUID(_ name: String) -> UUID {
        var bytes = Array(MessageDigest.hash(data: Array(name.utf8), with: .sha256).prefix(16))
        // RFC 9562: version 8, of our own making.
        bytes[6] = bytes[6] & 0x0F | 0x80
        bytes[8] = bytes[8] & 0x3F | 0x80
        return bytes.withUnsafeBytes { UUID(uuid: $0.loadUnaligned(as: uuid_t.self)) }
    }
}

extension NICSecurity {
    typealias Rule = NetworkFilter.Rule

    /// Prohibitions come first, so that no permission overrides them.
    func filterRules(_ mac: MACAddress) throws -> [Rule] {
        try identityRules(mac) + roleRules + addressRules(mac) + frameRules + groupRules()
    }

    // MARK: Frames

    private func identityRules(_ mac: MACAddress) -> [Rule] {
        [
            Rule(.drop, .out, .init(.mac, [.sourceMAC: mac.description], isNegated: true)),
            Rule(.drop, .out, .init(.arp, [.arpSourceMAC: mac.description], isNegated: true)),
        ]
    }

    /// A guest is no DHCP server, and no router that advertises itself (134) or redirects others (137).
    private var roleRules: [Rule] {
        [
            Rule(.drop, .out, .init(.ipv4, Self.udp(from: 67, to: 68))),
            Rule(.drop, .out, .init(.ipv6, Self.udp(from: 547, to: 546))),
            Rule(.drop, .out, .init(.ipv6, [.ipProtocol: "icmpv6", .type: "134"])),
            Rule(.drop, .out, .init(.ipv6, [.ipProtocol: "icmpv6", .type: "137"])),
        ]
    }

    private static func udp(from source: Int, to destination: Int) -> [NetworkFilter.Attribute: String] {
        [.ipProtocol: "udp", .sourcePortStart: "\(source)", .destinationPortStart: "\(destination)"]
    }

    /// The guest's own addresses, and those a host has before it has any.
    private func addressRules(_ mac: MACAddress) -> [Rule] {
        guard !addresses.isEmpty else { return [] }
        let v4 = addresses.filter { $0.version == .v4 }.map(\.address)
        let v6 = addresses.filter { $0.version == .v6 }.map(\.address)
        var rules: [Rule] = []
        // 0.0.0.0 asks whether an address is taken (RFC 5227).
        for address in v4 + ["0.0.0.0"] { rules.append(Rule(.accept, .out, .init(.arp, [.arpSourceAddress: address]))) }
        rules.append(Rule(.drop, .out, .init(.arp)))

        var discover = Self.udp(from: 68, to: 67)
        discover[.sourceAddress] = "0.0.0.0"
        rules.append(Rule(.accept, .out, .init(.ipv4, discover)))
        for address in v4 { rules.append(Rule(.accept, .out, .init(.ipv4, [.sourceAddress: address]))) }
        rules.append(Rule(.drop, .out, .init(.ipv4)))

        // The unspecified address looks whether one is taken (RFC 4862) and reports groups.
        let unspecified: [NetworkFilter.Attribute: String] = [.ipProtocol: "icmpv6", .sourceAddress: "::"]
        rules.append(Rule(.accept, .out, .init(.ipv6, unspecified)))
        for address in v6 + [mac.linkLocalAddress] {
            rules.append(Rule(.accept, .out, .init(.ipv6, [.sourceAddress: address])))
        }
        rules.append(Rule(.drop, .out, .init(.ipv6)))
        return rules
    }

    /// Nothing but IP and ARP: no VLAN tags, no spanning tree, no reverse ARP.
    private var frameRules: [Rule] {
        ["arp", "ipv4", "ipv6"].map { Rule(.accept, .out, .init(.mac, [.frameProtocol: $0])) }
            + [Rule(.drop, .out, .init(.mac))]
    }

    // MARK: Connections

    private func groupRules() throws -> [Rule] {
        guard let rules else { return [] }
        // libvirt has no states for IPv6: there each rule lets its own answers through, and errors are let in below.
        var all = [Rule(.accept, .both, .init(.all, [.state: "ESTABLISHED,RELATED"]))]
        all += Self.serviceRules
        all += try rules.map { try $0.filterRule }
        if !rules.contains(where: { $0.direction == .egress }) {
            all += [Rule(.accept, .out, .init(.all)), Rule(.accept, .out, .init(.all6))]
        }
        return all + [Rule(.drop, .both, .init(.all)), Rule(.drop, .both, .init(.all6))]
    }

    /// The traffic a guest needs to find its address, its neighbours and names. Answers to DHCP arrive at an address
    /// that is not the guest's yet, and neighbour discovery has no connections: both are accepted without tracking.
    private static let serviceRules: [Rule] = {
        let ports = { (source: Int?, destination: Int?) -> [NetworkFilter.Attribute: String] in
            var attributes: [NetworkFilter.Attribute: String] = [:]
            attributes[.sourcePortStart] = source.map(String.init)
            attributes[.destinationPortStart] = destination.map(String.init)
            return attributes
        }
        let stateless = { (direction: NetworkFilter.Direction, match: NetworkFilter.Match) in
            Rule(.accept, direction, match, followsConnections: false)
        }
        var rules = [
            stateless(.out, .init(.udp, ports(68, 67))), stateless(.in, .init(.udp, ports(67, 68))),
            stateless(.out, .init(.udp6, ports(546, 547))), stateless(.in, .init(.udp6, ports(547, 546))),
        ]
        for element: NetworkFilter.Element in [.udp, .tcp, .udp6, .tcp6] {
            rules.append(Rule(.accept, .out, .init(element, ports(nil, 53))))
        }
        // Router solicitation; neighbour solicitation and advertisement; reports of multicast groups.
        for type in [133, 135, 136, 143] { rules.append(stateless(.out, .init(.icmp6, [.type: "\(type)"]))) }
        // Router advertisement; neighbours; queries for multicast groups; errors, such as a packet that is too big.
        for type in [134, 135, 136, 130, 1, 2, 3, 4] { rules.append(stateless(.in, .init(.icmp6, [.type: "\(type)"]))) }
        return rules
    }()
}

extension SecurityRule {
    fileprivate var filterRule: NetworkFilter.Rule {
        get throws {
            var attributes: [NetworkFilter.Attribute: String] = [:]
            if peer.prefixLength > 0 {
                let isIngress = direction == .ingress
                attributes[isIngress ? .sourceAddress : .destinationAddress] = peer.address
                attributes[isIngress ? .sourceMask : .destinationMask] = "\(peer.prefixLength)"
            }
            switch traffic {
            case .tcp(let ports), .udp(let ports):
                attributes[.destinationPortStart] = "\(ports.lowerBound)"
                attributes[.destinationPortEnd] = "\(ports.upperBound)"
            case .icmp(let type, let code):
                attributes[.type] = type.map(String.init)
                attributes[.code] = code.map(String.init)
            case .other, .all: break
            }
            return NetworkFilter.Rule(.accept, direction == .ingress ? .in : .out, .init(try element, attributes))
        }
    }

    private var element: NetworkFilter.Element {
        get throws {
            let isV4 = peer.version == .v4
            switch traffic {
            case .tcp: return isV4 ? .tcp : .tcp6
            case .udp: return isV4 ? .udp : .udp6
            case .icmp: return isV4 ? .icmp : .icmp6
            case .all: return isV4 ? .all : .all6
            case .other(6): return isV4 ? .tcp : .tcp6
            case .other(17): return isV4 ? .udp : .udp6
            case .other(1) where isV4: return .icmp
            case .other(2) where isV4: return .igmp
            case .other(58) where !isV4: return .icmp6
            case .other(50): return isV4 ? .esp : .esp6
            case .other(51): return isV4 ? .ah : .ah6
            case .other(132): return isV4 ? .sctp : .sctp6
            case .other(136): return isV4 ? .udpLite : .udpLite6
            case .other(let number):
                throw LXCError(
                    .unsupported,
                    "the rule \(self) is about protocol \(number), which libvirt's filters do not know for "
                        + "\(isV4 ? "IPv4" : "IPv6"); allow all protocols from that peer instead")
            }
        }
    }
}

extension MACAddress {
    /// The IPv6 address a host gives itself from its hardware address (RFC 4291, appendix A).
    var linkLocalAddress: String {
        let bytes = stride(from: 40, through: 0, by: -8).map { UInt16(value >> UInt64($0) & 0xFF) }
        let groups = [
            (bytes[0] ^ 0x02) << 8 | bytes[1], bytes[2] << 8 | 0xFF, 0xFE00 | bytes[3], bytes[4] << 8 | bytes[5],
        ]
        return "fe80::" + groups.map { String($0, radix: 16) }.joined(separator: ":")
    }
}
