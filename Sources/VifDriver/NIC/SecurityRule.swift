// SPDX-License-Identifier: Apache-2.0

import LXCCore

/// One kind of traffic that is allowed: a rule of a security group.
///
/// As text it is CloudStack's: `I:tcp;22;22;10.0.0.0/8` is direction (`I` or `E`), protocol (`tcp`, `udp`, `icmp`, `all`
/// or a number), the first and the last port, or type and code of ICMP (-1 is any), and whom it is from or to.
public struct SecurityRule: Hashable, Sendable {
    /// The direction of the traffic.
    public enum Direction: String, Hashable, Sendable, CaseIterable {
        /// To the guest.
        case ingress = "I"
        /// From the guest.
        case egress = "E"
    }

    /// The type of traffic.
    public enum Traffic: Hashable, Sendable {
        /// TCP to a range of ports.
        case tcp(ports: ClosedRange<UInt16>)
        /// UDP to a range of ports.
        case udp(ports: ClosedRange<UInt16>)
        /// ICMP, or ICMPv6 where the peer has IPv6 addresses, of a type and code; nil is any.
        case icmp(type: UInt8?, code: UInt8?)
        /// A protocol by its number, such as 47 for GRE.
        case other(UInt8)
        /// Everything.
        case all
    }

    /// The direction of the traffic.
    public var direction: Direction
    /// The type of traffic.
    public var traffic: Traffic
    /// The source or destination of the traffic.
    public var peer: IPNetwork

    /// Creates a security rule.
    public init(_ direction: Direction, _ traffic: Traffic, _ peer: IPNetwork) {
        self.direction = direction
        self.traffic = traffic
        self.peer = peer
    }

    /// Reads one rule.
    ///
    /// - Throws: `LXCError` `invalidArgument` describing the fault.
    public init(parsing text: String) throws {
        let rules = try Self.rules(parsing: text)
        guard let rule = rules.first, rules.count == 1 else {
            throw Self.fault(text, "is \(rules.count) rules, not one")
        }
        self = rule
    }

    /// Reads the rules of a CloudStack command, in which a rule names several networks and ends with `NEXT`:
    /// `I:tcp;22;22;10.0.0.0/8,192.168.0.0/16,NEXT; E:all;0;0;0.0.0.0/0,NEXT;`. Each network makes a rule of its own.
    ///
    /// - Throws: `LXCError` `invalidArgument` describing the faulty rule.
    public static func rules(parsing text: String) throws -> [SecurityRule] {
        try text.replacing("NEXT;", with: " ").replacing("NEXT", with: " ")
            .split(whereSeparator: \.isWhitespace).flatMap(rules)
    }

    private static func rules(_ text: Substring) throws -> [SecurityRule] {
        let parts = text.split(separator: ";", omittingEmptySubsequences: false)
        let head = parts[0].split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 4, head.count == 2 else {
            throw fault(text, "needs direction:protocol;first;last;network")
        }
        guard let direction = Direction(rawValue: String(head[0]).uppercased()) else {
            throw fault(text, "begins with neither I: nor E:")
        }
        let networks = parts[3].split(separator: ",")
        guard !networks.isEmpty else { throw fault(text, "names no network") }
        let traffic = try Traffic(head[1].lowercased(), parts[1], parts[2], text)
        return try networks.map { try SecurityRule(direction, traffic, IPNetwork(parsing: String($0))) }
    }

    fileprivate static func fault(_ text: some StringProtocol, _ problem: String) -> LXCError {
        LXCError(
            .invalidArgument,
            "the rule \"\(String(text).escapedForDisplay)\" \(problem); write it as I:tcp;22;22;10.0.0.0/8")
    }
}

extension SecurityRule.Traffic {
    fileprivate init(_ name: String, _ first: Substring, _ last: Substring, _ rule: Substring) throws {
        switch name {
        case "tcp": self = .tcp(ports: try Self.ports(first, last, rule))
        case "udp": self = .udp(ports: try Self.ports(first, last, rule))
        case "icmp": self = .icmp(type: try Self.icmpNumber(first, rule), code: try Self.icmpNumber(last, rule))
        case "all": self = .all
        default:
            guard let number = UInt8(name) else {
                throw SecurityRule.fault(rule, "has no protocol of tcp, udp, icmp, all or a number up to 255")
            }
            self = .other(number)
        }
    }

    private static func ports(_ first: Substring, _ last: Substring, _ rule: Substring) throws -> ClosedRange<UInt16> {
        guard let low = UInt16(first), let high = UInt16(last), low <= high else {
            throw SecurityRule.fault(rule, "has no range of ports of 0 to 65535")
        }
        return low...high
    }

    private static func icmpNumber(_ text: Substring, _ rule: Substring) throws -> UInt8? {
        if text == "-1" { return nil }
        guard let number = UInt8(text) else { throw SecurityRule.fault(rule, "has no ICMP type and code of -1 to 255") }
        return number
    }

    fileprivate var fields: String {
        switch self {
        case .tcp(let ports): "tcp;\(ports.lowerBound);\(ports.upperBound)"
        case .udp(let ports): "udp;\(ports.lowerBound);\(ports.upperBound)"
        case .icmp(let type, let code): "icmp;\(type.map(String.init) ?? "-1");\(code.map(String.init) ?? "-1")"
        case .other(let number): "\(number);0;0"
        case .all: "all;0;0"
        }
    }
}

extension SecurityRule: CustomStringConvertible {
    /// CloudStack's text.
    public var description: String {
        "\(direction.rawValue):\(traffic.fields);\(peer.address)/\(peer.prefixLength)"
    }
}

extension SecurityRule: Codable {
    /// Reads and checks the text.
    public init(from decoder: any Decoder) throws { try self.init(parsing: String(from: decoder)) }

    /// Writes the text.
    public func encode(to encoder: any Encoder) throws { try description.encode(to: encoder) }
}
