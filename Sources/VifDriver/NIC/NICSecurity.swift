// SPDX-License-Identifier: Apache-2.0

import LXCCore

/// The traffic a guest may send and receive on a NIC, enforced outside the guest by libvirt's network filters.
///
/// Whatever is allowed, a guest sends under its own hardware address alone, is no server of DHCP and no router of IPv6,
/// and sends nothing but IP and ARP.
public struct NICSecurity: Hashable, Sendable {
    /// The guest's addresses: it sends and announces no others. Empty leaves them to the guest.
    public var addresses: [IPNetwork]
    /// The allowed traffic; nil allows everything.
    ///
    /// As in CloudStack's security groups, incoming traffic needs a rule; outgoing traffic is allowed unless there is a
    /// rule for outgoing traffic. Answers, DHCP, DNS and IPv6 neighbour discovery are always allowed.
    public var rules: [SecurityRule]?

    /// Creates the security of a NIC from addresses and rules; without arguments it only prevents the guest from using
    /// another's hardware address.
    public init(addresses: [IPNetwork] = [], rules: [SecurityRule]? = nil) {
        self.addresses = addresses
        self.rules = rules
    }

    /// Checks what its types do not.
    func check() throws {
        guard let network = addresses.first(where: { !$0.isAddress }) else { return }
        throw LXCError(
            .invalidArgument, "\(network) is not an address a guest can have; give it without a prefix length")
    }
}

extension NICSecurity: Codable {
    private enum CodingKeys: String, CodingKey, CaseIterable { case addresses, rules }

    /// Reads the two lists, which may be left out.
    ///
    /// - Throws: `LXCError` `invalidArgument` for an unknown key and for values that break a rule.
    public init(from decoder: any Decoder) throws {
        self = try decoder.inOurWords { try Self(reading: decoder) }
    }

    private init(reading decoder: any Decoder) throws {
        try decoder.requireKeys(of: CodingKeys.self, in: "a NIC's security")
        let values = try decoder.container(keyedBy: CodingKeys.self)
        try self.init(
            addresses: values.decodeIfPresent([IPNetwork].self, forKey: .addresses) ?? [],
            rules: values.decodeIfPresent([SecurityRule].self, forKey: .rules))
        try check()
    }
}
