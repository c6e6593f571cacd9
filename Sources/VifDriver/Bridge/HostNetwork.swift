// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import LXCCore
import LibvirtXML

/// The host's network devices according to sysfs. Nothing is inferred from a device's name.
///
/// Synchronous: call it on a `BlockingPool`.
struct HostNetwork: Sendable {
    /// The directory in which sysfs lists network devices.
    static let sysfs = "/sys/class/net"

    /// The directory of the kernel's settings for bridges.
    static let bridgeSettings = "/proc/sys/net/bridge"

    /// The time another program may hold a lock on the host's network devices: each change is a few calls.
    static let lockPatience = Duration.seconds(60)

    private let root: String
    private let bridgeSettings: String

    /// Creates a host network from the directory that lists the devices, and that of the settings.
    init(root: String, bridgeSettings: String = bridgeSettings) {
        self.root = root
        self.bridgeSettings = bridgeSettings
    }

    /// Checks that what passes bridges passes iptables: where it does not, libvirt's rules on connections do nothing.
    ///
    /// - Throws: `LXCError` with code `unsupported` saying what to switch on.
    func requireFiltering() throws {
        for setting in ["bridge-nf-call-iptables", "bridge-nf-call-ip6tables"] {
            let value = try? String(contentsOfFile: "\(bridgeSettings)/\(setting)", encoding: .utf8)
            guard value?.first == "1" else {
                throw LXCError(
                    .unsupported,
                    "the kernel does not filter bridged traffic, so security rules would have no effect; run: modprobe "
                        + "br_netfilter && sysctl net.bridge.\(setting)=1")
            }
        }
    }

    /// Checks that a bridge is there.
    ///
    /// - Throws: `LXCError` with code `notFound` when nothing of that name is there, `invalidArgument` when it is no
    ///   bridge, or no device can have that name.
    func requireBridge(_ name: String) throws {
        let path = try path(of: name)
        guard exists(path) else {
            throw LXCError(
                .notFound,
                "the host has no bridge \(name); make one with: ip link add \(name) type bridge && ip "
                    + "link set \(name) up")
        }
        guard exists(path + "/bridge") else {
            throw LXCError(
                .invalidArgument,
                "\(name) is a network device but not a bridge; name a bridge, or connect guests to it directly")
        }
    }

    /// Checks that a device is there and free for guests to be put on it.
    ///
    /// - Throws: `LXCError` with code `notFound` when nothing of that name is there, `invalidArgument` when it is a
    ///   port of a bridge, or no device can have that name.
    func requireFreeDevice(_ name: String) throws {
        let path = try path(of: name)
        guard exists(path) else { throw Self.missing(name) }
        guard !exists(path + "/brport"), !exists(path + "/master/bridge") else {
            throw LXCError(
                .invalidArgument,
                "\(name) is a port of the bridge \(master(of: path)) and cannot carry guests "
                    + "beside it; connect them to the bridge, or take it out with: ip link set \(name) nomaster")
        }
    }

    /// The device that leads out of the host from a bridge, or from a device that is named itself. Of a VLAN's device it
    /// is the one below, because VLANs do not go into each other.
    ///
    /// Uplinks are devices with hardware behind them, and those stacked on others: bonds, teams, VLANs. Guests' ends of
    /// cables are neither.
    ///
    /// - Throws: `LXCError` `notFound` when the label is no device; `invalidArgument` when the bridge has no such port
    ///   or several, or the device belongs to a bond.
    func uplink(of label: String) throws -> String {
        let path = try path(of: label)
        guard exists(path) else { throw Self.missing(label) }
        guard exists(path + "/bridge") else { return try untagged(label) }
        let found = Set(try ports(of: label).filter(leadsOut).map(untagged)).sorted()
        guard let uplink = found.first, found.count == 1 else {
            throw LXCError(
                .invalidArgument,
                found.isEmpty
                    ? "the bridge \(label) has no port that leads out of the host; make a physical device its port, or "
                        + "name the device instead of the bridge"
                    : "the bridge \(label) leads out of the host by \(found.joined(separator: ", ")); name one of them "
                        + "instead of the bridge")
        }
        return uplink
    }

    /// The ports of a bridge, by name.
    func ports(of bridge: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: "\(root)/\(bridge)/brif")) ?? []).sorted()
    }

    /// Whether there is a device of the name.
    func hasDevice(_ name: String) -> Bool { exists("\(root)/\(name)") }

    /// Whether the device's hardware address was set explicitly; nil if the kernel does not report it.
    func hasSetAddress(_ name: String) -> Bool? {
        // NET_ADDR_SET of linux/netdevice.h.
        attribute("addr_assign_type", of: name).map { $0 == 3 }
    }

    /// The device's number; nil where the kernel does not say.
    func index(of name: String) -> Int? { attribute("ifindex", of: name) }

    /// The largest packet in bytes; nil where the kernel does not say.
    func mtu(of name: String) -> Int? { attribute("mtu", of: name) }

    private func attribute(_ attribute: String, of name: String) -> Int? {
        let text = try? String(contentsOfFile: "\(root)/\(name)/\(attribute)", encoding: .utf8)
        return text.flatMap { Int($0.prefix { $0.isNumber }) }
    }

    private func leadsOut(_ name: String) -> Bool {
        let path = "\(root)/\(name)"
        let kind = kind(of: path)
        if kind == "vxlan" || kind == "macvlan" || kind == "macvtap" { return false }
        return exists(path + "/device") || exists(path + "/bonding") || !lowers(of: path).isEmpty
    }

    /// The device below all VLANs.
    private func untagged(_ name: String) throws -> String {
        var name = name
        while kind(of: "\(root)/\(name)") == "vlan", let lower = lowers(of: "\(root)/\(name)").first { name = lower }
        let path = "\(root)/\(name)"
        guard !exists(path + "/bonding_slave"), !exists(path + "/master/bonding") else {
            throw LXCError(.invalidArgument, "\(name) is a member of the bond \(master(of: path)); name the bond")
        }
        return name
    }

    /// The kind the kernel gives in `uevent`; nil for plain devices.
    private func kind(of path: String) -> Substring? {
        let text = (try? String(contentsOfFile: path + "/uevent", encoding: .utf8)) ?? ""
        return text.split(separator: "\n").first { $0.hasPrefix("DEVTYPE=") }?.dropFirst("DEVTYPE=".count)
    }

    /// The lower devices of a device.
    private func lowers(of path: String) -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        return names.filter { $0.hasPrefix("lower_") }.map { String($0.dropFirst("lower_".count)) }.sorted()
    }

    /// A device's path, which no name can lead out of the directory.
    private func path(of name: String) throws -> String {
        try NIC.checkDeviceName(name)
        return root + "/" + name
    }

    static func missing(_ name: String) -> LXCError {
        LXCError(.notFound, "the host has no network device \(name); see: ip link")
    }

    private func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

    private func master(of path: String) -> String {
        let link = (try? FileManager.default.destinationOfSymbolicLink(atPath: path + "/master")) ?? "?"
        return (link.split(separator: "/").last.map(String.init) ?? "?").escapedForDisplay
    }
}
