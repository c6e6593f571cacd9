// SPDX-License-Identifier: Apache-2.0

import LXCCore

/// The layer 2 network of a NIC: CloudStack's broadcast URI.
public enum BroadcastDomain: Hashable, Sendable {
    /// The network of the bridge itself: `vlan://untagged`.
    case untagged
    /// A VLAN of IEEE 802.1Q, 1 to 4094: `vlan://42`.
    case vlan(UInt16)
    /// A VXLAN of RFC 7348, 0 to 16777215: `vxlan://42`.
    case vxlan(UInt32)

    /// Reads a broadcast URI.
    ///
    /// - Throws: `LXCError` `invalidArgument` for an invalid URI or a number out of range; `unsupported` for a kind of
    ///   network that bridges cannot make, such as `pvlan://` and `vs://`.
    public init(parsing text: String) throws {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else { throw Self.fault(text) }
        let value = parts[1].hasPrefix("//") ? parts[1].dropFirst(2) : parts[1]
        switch parts[0].lowercased() {
        case "vlan":
            if value.lowercased() == "untagged" {
                self = .untagged
                return
            }
            guard let id = UInt16(value) else { throw Self.fault(text) }
            self = .vlan(id)
        case "vxlan":
            guard let id = UInt32(value) else { throw Self.fault(text) }
            self = .vxlan(id)
        case "pvlan", "vs", "lswitch", "mido", "storage", "opendaylight", "vcs", "vsp", "native", "l3vpc":
            throw LXCError(
                .unsupported, "\(text.escapedForDisplay) is a network no bridge can make; use vlan:// or vxlan://")
        default: throw Self.fault(text)
        }
        try check()
    }

    /// Checks the number's range.
    func check() throws {
        let isValid =
            switch self {
            case .untagged: true
            case .vlan(let id): (1...4094).contains(id)
            case .vxlan(let id): id < 1 << 24
            }
        guard isValid else { throw Self.fault(description) }
    }

    private static func fault(_ text: String) -> LXCError {
        LXCError(
            .invalidArgument,
            "\"\(text.escapedForDisplay)\" is not a network; use vlan://untagged, vlan://1 to vlan://4094, or vxlan://0 to "
                + "vxlan://16777215")
    }
}

extension BroadcastDomain: CustomStringConvertible {
    /// The URI.
    public var description: String {
        switch self {
        case .untagged: "vlan://untagged"
        case .vlan(let id): "vlan://\(id)"
        case .vxlan(let id): "vxlan://\(id)"
        }
    }
}

extension BroadcastDomain: Codable {
    /// Reads and checks the URI.
    public init(from decoder: any Decoder) throws { try self.init(parsing: String(from: decoder)) }

    /// Writes the URI.
    public func encode(to encoder: any Encoder) throws { try description.encode(to: encoder) }
}
