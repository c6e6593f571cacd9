// SPDX-License-Identifier: Apache-2.0

import FileTree
import FoundationEssentials
import LXCCore
package import LinuxSystem

/// Writes an identity into a root that is not running.
package struct IdentityWriter {
    private let identity: LXCHypervisor.GuestIdentity
    private let specification: LXCHypervisor.ContainerSpecification
    private let root: ConfinedRoot

    /// The largest `/etc/hosts` that is changed; block lists reach several mebibytes.
    private static let hostsLimit = 16 << 20

    package init(
        identity: LXCHypervisor.GuestIdentity, specification: LXCHypervisor.ContainerSpecification, root: ConfinedRoot
    ) {
        self.identity = identity
        self.specification = specification
        self.root = root
    }

    private var hostName: String { identity.hostName ?? specification.name.description }

    /// The host ids of the container's root.
    private var owner: (user: UInt32, group: UInt32) {
        (specification.idMap?.hostUser(0) ?? 0, specification.idMap?.hostGroup(0) ?? 0)
    }

    /// Writes the whole identity. Blocks.
    package func write() throws {
        if try isDirectory("/etc") {
            try write("\(hostName)\n", to: "/etc/hostname")
            try writeHosts()
            try writeNameServers()
            try resetMachineID()
        } else if identity.hostName != nil || !identity.nameServers.isEmpty {
            throw lacking("/etc", "a host name or name servers")
        }
        try renewHostKeys()
        try writeAuthorizedKeys()
        try writeNetworks()
        try writeCloudInit()
    }

    // MARK: Names

    /// Debian uses the line 127.0.1.1 for the host's own name; a template's names the host it was built on.
    private func writeHosts() throws {
        guard let old = try hosts() else { return }
        var lines = old.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        lines.removeAll { Self.firstWord($0).elementsEqual("127.0.1.1".utf8) }
        while lines.last?.isEmpty == true { lines.removeLast() }
        if lines.isEmpty {
            lines = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback"].map { Array($0.utf8)[...] }
        }
        let short = hostName.prefix { $0 != "." }
        lines.append(Array("127.0.1.1\t\(short == hostName ? hostName : "\(hostName) \(short)")\n".utf8)[...])
        let text = Array(lines.joined(separator: [UInt8(ascii: "\n")]))
        try root.write(text, to: "/etc/hosts", mode: 0o644, owner: owner)
    }

    /// The contents of `/etc/hosts`: empty if it is not a regular file, which is then replaced by one. `nil` if it must
    /// stay as it is because it is too large or a directory.
    private func hosts() throws -> [UInt8]? {
        if try root.status("/etc/hosts")?.kind == .directory { return nil }
        do {
            return try root.read("/etc/hosts", limit: Self.hostsLimit) ?? []
        } catch let error as LXCError where error.code == .invalidArgument || error.code == .notFound {
            return []
        } catch let error as LXCError where error.code == .limitExceeded {
            return nil
        }
    }

    private static func firstWord(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        let isSpace = { (byte: UInt8) in byte == UInt8(ascii: " ") || (9...13).contains(byte) }
        return line.drop(while: isSpace).prefix { !isSpace($0) }
    }

    private func writeNameServers() throws {
        guard !identity.nameServers.isEmpty else { return }
        var lines = identity.nameServers.map { "nameserver \($0)\n" }
        if !identity.searchDomains.isEmpty { lines.append("search \(identity.searchDomains.joined(separator: " "))\n") }
        try write(lines.joined(), to: "/etc/resolv.conf")
    }

    private func resetMachineID() throws {
        guard identity.resetsMachineID else { return }
        if try root.status("/etc/machine-id") != nil { try write("", to: "/etc/machine-id", mode: 0o444) }
        // Often a link to the other; D-Bus recreates it.
        if try root.status("/var/lib/dbus/machine-id")?.kind == .file { try root.remove("/var/lib/dbus/machine-id") }
    }

    // MARK: SSH

    private func renewHostKeys() throws {
        guard identity.renewsHostKeys, try isDirectory("/etc/ssh") else { return }
        let old = try root.list("/etc/ssh").filter { name in
            guard name.hasPrefix("ssh_host_"), name.contains("_key") else { return false }
            return try root.status("/etc/ssh/\(name)")?.kind != .directory
        }
        guard !old.isEmpty else { return }
        for name in old { try root.remove("/etc/ssh/\(name)") }
        let key = SSHHostKey(comment: "root@\(hostName)")
        try write(key.privateText, to: "/etc/ssh/ssh_host_ed25519_key", mode: 0o600)
        try write(key.publicText, to: "/etc/ssh/ssh_host_ed25519_key.pub")
    }

    private func writeAuthorizedKeys() throws {
        guard !identity.authorizedKeys.isEmpty else { return }
        try makeDirectories(["root": 0o700, "root/.ssh": 0o700])
        let text = identity.authorizedKeys.map { "\($0)\n" }.joined()
        try write(text, to: "/root/.ssh/authorized_keys", mode: 0o600)
    }

    // MARK: Networks

    private func writeNetworks() throws {
        guard !identity.networks.isEmpty else { return }
        let (hasNetworkd, hasIfupdown) = (try isDirectory("/etc/systemd/network"), try isDirectory("/etc/network"))
        guard hasNetworkd || hasIfupdown else {
            throw lacking("/etc/systemd/network or /etc/network", "the configuration of networks")
        }
        if hasNetworkd {
            for network in identity.networks {
                try write(Self.networkd(network), to: "/etc/systemd/network/10-lxc-\(network.device).network")
            }
        }
        if hasIfupdown {
            let text = (["auto lo\niface lo inet loopback\n"] + identity.networks.map(Self.ifupdown)).joined(
                separator: "\n")
            try write(text, to: "/etc/network/interfaces")
        }
    }

    /// systemd.network(5).
    private static func networkd(_ network: LXCHypervisor.GuestIdentity.Network) -> String {
        var lines = ["[Match]", "Name=\(network.device)", "", "[Network]"]
        lines += network.addresses.isEmpty ? ["DHCP=yes"] : network.addresses.map { "Address=\($0)" }
        lines += network.gateways.map { "Gateway=\($0)" }
        return lines.joined(separator: "\n") + "\n"
    }

    /// interfaces(5).
    private static func ifupdown(_ network: LXCHypervisor.GuestIdentity.Network) -> String {
        var lines = ["auto \(network.device)"]
        if network.addresses.isEmpty { lines.append("iface \(network.device) inet dhcp") }
        var routed: Set<Bool> = []
        for address in network.addresses {
            let isSix = address.contains(":")
            lines.append("iface \(network.device) \(isSix ? "inet6" : "inet") static")
            lines.append("    address \(address)")
            if routed.insert(isSix).inserted, let gateway = network.gateways.first(where: { $0.contains(":") == isSix })
            {
                lines.append("    gateway \(gateway)")
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    // MARK: cloud-init

    private func writeCloudInit() throws {
        guard let seed = identity.cloudInit else { return }
        let folder = "/var/lib/cloud/seed/nocloud"
        let parents = ["var", "var/lib", "var/lib/cloud", "var/lib/cloud/seed"].map { ($0, UInt16(0o755)) }
        try makeDirectories(Dictionary(uniqueKeysWithValues: parents + [(String(folder.dropFirst()), 0o700)]))
        let id = specification.uuid.uuidString.lowercased()
        try write("instance-id: \(id)\nlocal-hostname: \(hostName)\n", to: "\(folder)/meta-data", mode: 0o600)
        try write(seed.userData, to: "\(folder)/user-data", mode: 0o600)
        if let network = seed.networkConfig { try write(network, to: "\(folder)/network-config", mode: 0o600) }
    }

    /// The error for a requested item that cannot be written: if it were skipped, its absence would show only inside.
    private func lacking(_ place: String, _ what: String) -> LXCError {
        LXCError(
            .unsupported,
            "the template of \(specification.name) has no \(place), so it cannot take \(what) from the identity; leave that out, "
                + "or use another template")
    }

    // MARK: Writing

    private func isDirectory(_ path: String) throws -> Bool {
        // With a trailing slash, a link is followed within the root.
        try root.status("\(path)/.")?.kind == .directory
    }

    /// Creates directories, the shortest path first.
    private func makeDirectories(_ modes: [String: UInt16]) throws {
        for (path, mode) in modes.sorted(by: { $0.key.count < $1.key.count }) {
            try root.makeDirectory("/\(path)", mode: mode, owner: owner)
        }
    }

    private func write(_ text: String, to path: String, mode: UInt16 = 0o644) throws {
        try root.write(Array(text.utf8), to: path, mode: mode, owner: owner)
    }
}
