// SPDX-License-Identifier: Apache-2.0

import Glibc
import LXCCore

extension LXCHypervisor {
    /// The properties that distinguish a container's root from other copies of its template, written into the volume
    /// before the container is defined.
    ///
    /// A default item, such as host keys in `/etc/ssh`, is skipped if the root has no place for it. A requested item
    /// without a place, such as a network configuration, is an error. An `/etc/hosts` larger than 16 MiB is left
    /// unchanged.
    public struct GuestIdentity: Hashable, Sendable {
        /// The configuration of one interface inside, for systemd-networkd or ifupdown, whichever is installed.
        public struct Network: Hashable, Sendable {
            /// The interface, such as `eth0`.
            public var device: String
            /// Addresses with prefix lengths, such as `192.0.2.7/24`; empty for DHCP.
            public var addresses: [String]
            /// Default gateways, at most one for each address family.
            public var gateways: [String]

            /// Creates a network.
            public init(device: String, addresses: [String] = [], gateways: [String] = []) {
                self.device = device
                self.addresses = addresses
                self.gateways = gateways
            }
        }

        /// A seed of cloud-init's NoCloud source, below `/var/lib/cloud/seed/nocloud`. Its `meta-data` holds the
        /// container's UUID and host name.
        public struct CloudInit: Hashable, Sendable {
            /// The text of `user-data`.
            public var userData: String
            /// The text of `network-config`; `nil` writes none.
            public var networkConfig: String?

            /// Creates a NoCloud seed from the texts; the default user-data, `#cloud-config`, does nothing.
            public init(userData: String = "#cloud-config\n", networkConfig: String? = nil) {
                self.userData = userData
                self.networkConfig = networkConfig
            }
        }

        /// The host name (RFC 1123); `nil` uses the container's name.
        public var hostName: String?
        /// Whether `/etc/machine-id` is emptied, so that systemd generates a new one (machine-id(5)).
        public var resetsMachineID = true
        /// Whether the template's SSH host keys are replaced by a new ed25519 key. A root without host keys gets none.
        public var renewsHostKeys = true
        /// Addresses of name servers; if empty, `/etc/resolv.conf` is left unchanged.
        public var nameServers: [String] = []
        /// The search domains for names without a dot.
        public var searchDomains: [String] = []
        /// SSH keys that may log in as root, in the format of `authorized_keys`.
        public var authorizedKeys: [String] = []
        /// Configurations of interfaces; if empty, the template's configuration is left unchanged.
        public var networks: [Network] = []
        /// A seed for cloud-init; `nil` writes none.
        public var cloudInit: CloudInit?

        /// Uses the container's name as host name, with a new machine id and new host keys.
        public init() {}

        /// Checks every text that is written into a file.
        ///
        /// - Throws: `LXCError` `invalidArgument` naming the value.
        package func check() throws {
            if let hostName { try Self.require(Self.isHostName(hostName), hostName, "no host name (RFC 1123)") }
            for domain in searchDomains { try Self.require(Self.isHostName(domain), domain, "no domain (RFC 1123)") }
            for server in nameServers { try Self.require(Self.isAddress(server), server, "no IP address") }
            for key in authorizedKeys {
                let isLine = !key.isEmpty && !key.unicodeScalars.contains { $0.properties.generalCategory == .control }
                try Self.require(isLine, key, "no line of authorized_keys")
            }
            for network in networks {
                let name = network.device
                let isName =
                    (1...15).contains(name.utf8.count) && name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber) }
                try Self.require(isName, name, "no name of an interface")
                for address in network.addresses {
                    try Self.require(Self.isPrefix(address), address, "no IP address with the length of its prefix")
                }
                for gateway in network.gateways { try Self.require(Self.isAddress(gateway), gateway, "no IP address") }
                let isUnique = Set(network.gateways.map { $0.contains(":") }).count == network.gateways.count
                try Self.require(isUnique, network.gateways.joined(separator: " "), "more than one router of a family")
            }
        }

        private static func require(_ isGood: Bool, _ value: String, _ fault: String) throws {
            guard isGood else {
                throw LXCError(.invalidArgument, "the identity's \"\(value.escapedForDisplay)\" is \(fault)")
            }
        }

        private static func isHostName(_ name: String) -> Bool {
            guard (1...253).contains(name.utf8.count) else { return false }
            return name.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
                (1...63).contains(label.utf8.count) && label.first != "-" && label.last != "-"
                    && label.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") }
            }
        }

        private static func isAddress(_ text: String) -> Bool {
            var buffer = in6_addr()
            return !text.utf8.contains(0) && [AF_INET, AF_INET6].contains { inet_pton($0, text, &buffer) == 1 }
        }

        private static func isPrefix(_ text: String) -> Bool {
            let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2, isAddress(parts[0]), let length = Int(parts[1]) else { return false }
            return (0...(parts[0].contains(":") ? 128 : 32)).contains(length)
        }
    }
}

extension LXCHypervisor.GuestIdentity: Codable {
    private enum CodingKeys: String, CodingKey, CaseIterable {
        case hostName, resetsMachineID, renewsHostKeys, nameServers, searchDomains, authorizedKeys, networks, cloudInit
    }

    /// Reads an identity; a missing key has its value in `GuestIdentity()`.
    ///
    /// - Throws: `LXCError` `invalidArgument` for an unknown key, and for values that break a rule.
    public init(from decoder: any Decoder) throws {
        self = try decoder.inOurWords { try Self(reading: decoder) }
    }

    private init(reading decoder: any Decoder) throws {
        try decoder.requireKeys(of: CodingKeys.self, in: "an identity")
        let values = try decoder.container(keyedBy: CodingKeys.self)
        self.init()
        hostName = try values.decodeIfPresent(String.self, forKey: .hostName)
        resetsMachineID = try values.decodeIfPresent(Bool.self, forKey: .resetsMachineID) ?? resetsMachineID
        renewsHostKeys = try values.decodeIfPresent(Bool.self, forKey: .renewsHostKeys) ?? renewsHostKeys
        nameServers = try values.decodeIfPresent([String].self, forKey: .nameServers) ?? []
        searchDomains = try values.decodeIfPresent([String].self, forKey: .searchDomains) ?? []
        authorizedKeys = try values.decodeIfPresent([String].self, forKey: .authorizedKeys) ?? []
        networks = try values.decodeIfPresent([Network].self, forKey: .networks) ?? []
        cloudInit = try values.decodeIfPresent(CloudInit.self, forKey: .cloudInit)
    }
}

extension LXCHypervisor.GuestIdentity.Network: Codable {
    private enum CodingKeys: String, CodingKey, CaseIterable { case device, addresses, gateways }

    /// Reads a network; only `device` is required.
    ///
    /// - Throws: `LXCError` `invalidArgument` for an unknown key, and for values that break a rule.
    public init(from decoder: any Decoder) throws {
        self = try decoder.inOurWords { try Self(reading: decoder) }
    }

    private init(reading decoder: any Decoder) throws {
        try decoder.requireKeys(of: CodingKeys.self, in: "a network of an identity")
        let values = try decoder.container(keyedBy: CodingKeys.self)
        try self.init(
            device: values.decode(String.self, forKey: .device),
            addresses: values.decodeIfPresent([String].self, forKey: .addresses) ?? [],
            gateways: values.decodeIfPresent([String].self, forKey: .gateways) ?? [])
    }
}

extension LXCHypervisor.GuestIdentity.CloudInit: Codable {
    private enum CodingKeys: String, CodingKey, CaseIterable { case userData, networkConfig }

    /// Reads a seed.
    ///
    /// - Throws: `LXCError` `invalidArgument` for an unknown key, and for values that break a rule.
    public init(from decoder: any Decoder) throws {
        self = try decoder.inOurWords { try Self(reading: decoder) }
    }

    private init(reading decoder: any Decoder) throws {
        try decoder.requireKeys(of: CodingKeys.self, in: "a seed for cloud-init")
        let values = try decoder.container(keyedBy: CodingKeys.self)
        self.init()
        userData = try values.decodeIfPresent(String.self, forKey: .userData) ?? userData
        networkConfig = try values.decodeIfPresent(String.self, forKey: .networkConfig)
    }
}
