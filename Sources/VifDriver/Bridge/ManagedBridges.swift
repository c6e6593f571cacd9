// SPDX-License-Identifier: Apache-2.0

import CLinux
import FoundationEssentials
import Glibc
import LXCCore
import LinuxSystem

/// Makes bridges on demand, and removes unused ones.
///
/// The kernel records the ownership of devices: ours are made in a device group of our own, in the same step in which
/// they are created. So a killed program leaves nothing unidentified, and the next one that needs the bridge completes
/// it. All work on a bridge is done under a lock of its name, which ends with its holder.
///
/// A bridge is needed by the guests on it, and by those that have it reserved: between its making and the guest's start
/// a bridge has no port. A reservation lasts ten minutes; every start makes a new one, because bridges do not outlive
/// the host's reboot.
struct ManagedBridges: Sendable {
    /// The group of the devices this package makes ("LXC"): `ip link show group 5003331`.
    static let group: UInt32 = 0x4C5843
    /// The directory of locks and reservations.
    static let directory = "/run/lxc-hypervisor/networks"
    /// The time limit from a guest's reservation to its start.
    private static let lastingSeconds = 600

    private let host: HostNetwork
    private let directory: String

    init(host: HostNetwork, directory: String) {
        self.host = host
        self.directory = directory
    }

    /// Makes the missing parts of a bridge and reserves it for the guest's end of that name. A foreign bridge of the
    /// name is used unchanged.
    ///
    /// - Returns: the largest packet in bytes that the bridge passes on.
    func reserve(_ bridge: ManagedBridge, for device: String) async throws -> Int {
        try await locked(bridge.name) {
            let links = try NetworkLinks()
            let made = try make(bridge, links)
            guard made.group == Self.group else { return made.mtu }
            do {
                if let name = bridge.uplinkDevice { try connect(bridge, name, made, links) }
                try settle(bridge, made, links)
                try reserve(bridge.name, device)
            } catch {
                try? removeUnlessNeeded(bridge.name, links)
                throw error
            }
            return try links.link(bridge.name)?.mtu ?? made.mtu
        }
    }

    /// Releases a reservation, and removes the bridge if it is unused then. Ignores foreign and missing bridges.
    func release(_ bridge: String, from device: String) async throws {
        guard try await BlockingPool.shared.run({ _ in try isOurs(bridge) }) else { return }
        try await locked(bridge) {
            unlink("\(directory)/\(bridge)/\(device)")
            try removeUnlessNeeded(bridge, NetworkLinks())
        }
    }

    private func removeUnlessNeeded(_ bridge: String, _ links: borrowing NetworkLinks) throws {
        guard let found = try links.link(bridge), found.group == Self.group, !hasReservation(bridge) else { return }
        var ports: [NetworkLink] = []
        for name in host.ports(of: bridge) {
            guard let port = try links.link(name) else { continue }
            guard port.group == Self.group else { return }
            ports.append(port)
        }
        // The bridge is deleted last: while it exists, an interrupted removal can be completed.
        for port in ports { try links.delete(port) }
        try links.delete(found)
        try? FileManager.default.removeItem(atPath: "\(directory)/\(bridge)")
    }

    private func isOurs(_ bridge: String) throws -> Bool {
        let link = try NetworkLinks().link(bridge)
        return link?.kind == "bridge" && link?.group == Self.group
    }

    private func locked<Value: Sendable>(
        _ bridge: String, _ body: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        let pool = BlockingPool.shared
        try await pool.run { _ in try Self.makeDirectory(directory) }
        return try await FileLock.hold("\(directory)/\(bridge).lock", patience: HostNetwork.lockPatience, pool: pool) {
            try await pool.run { _ in try body() }
        }
    }
}

// MARK: Devices

extension ManagedBridges {
    /// Writes a small file whose readers hold the writer's lock. A half-written file of a killed writer is unreadable;
    /// no other file is left then.
    static func write(_ text: String, to path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw LXCError.lastSystemCall("open", "write \(path)") }
        defer { close(descriptor) }
        guard Array(text.utf8).withUnsafeBytes({ Descriptor.writeAll($0, to: descriptor) }) else {
            throw LXCError.lastSystemCall("write", "write \(path)")
        }
    }

    /// Makes the directory of locks and reservations, root's alone, and the one it is in.
    static func makeDirectory(_ directory: String) throws {
        let parent = directory[..<(directory.lastIndex(of: "/") ?? directory.endIndex)]
        try DurableFile.makeDirectory(String(parent), mode: 0o755)
        try DurableFile.makeDirectory(directory, mode: 0o700)
    }

    private func make(_ bridge: ManagedBridge, _ links: borrowing NetworkLinks) throws -> NetworkLink {
        if try links.link(bridge.name) == nil { try links.addBridge(bridge.name, group: Self.group) }
        guard let link = try links.link(bridge.name), link.kind == "bridge" else {
            throw LXCError(
                .alreadyExists,
                "the network device \(bridge.name) is in the way of a bridge of that name; rename it or remove it")
        }
        return link
    }

    /// Makes the device that leads out and makes it the bridge's port.
    private func connect(
        _ bridge: ManagedBridge, _ name: String, _ link: NetworkLink, _ links: borrowing NetworkLinks
    ) throws {
        let lower = try lower(of: bridge, links)
        if try links.link(name) == nil { try makeUplink(bridge, name, on: lower, links) }
        guard let uplink = try links.link(name) else { throw HostNetwork.missing(name) }
        guard uplink.group == Self.group, isUplink(uplink, of: bridge, on: lower) else {
            throw LXCError(
                .alreadyExists,
                "the network device \(name) is in the way: it was not made by this package, or is for another network; remove it with: "
                    + "ip link delete \(name)")
        }
        if uplink.master != link.index { try links.setMaster(uplink, link) }
        try links.setNoIPv6Address(uplink)
        try links.setUp(uplink)
    }

    /// The device below a bridge's uplink.
    private func lower(of bridge: ManagedBridge, _ links: borrowing NetworkLinks) throws -> NetworkLink {
        let (name, needsAddress) =
            switch bridge.uplink {
            case .vlan(_, let device): (device, false)
            case .vxlan(_, let device): (device, true)
            case .none: ("", false)
            }
        guard let lower = try links.link(name) else { throw HostNetwork.missing(name) }
        guard lower.isUp else {
            throw LXCError(
                .invalidState,
                "\(name), by which \(bridge.name) would reach others, is down; run: ip link set \(name) up")
        }
        guard try !needsAddress || links.hasAddress(lower) else {
            throw LXCError(
                .invalidState,
                "\(name) has no IPv4 address, by which \(bridge.name) would reach other hosts; give it one, or name the "
                    + "device that has it")
        }
        return lower
    }

    private func makeUplink(
        _ bridge: ManagedBridge, _ name: String, on lower: NetworkLink, _ links: borrowing NetworkLinks
    ) throws {
        switch bridge.uplink {
        case .vlan(let id, _): try links.addVLAN(name, group: Self.group, id: id, on: lower)
        case .vxlan(let id, _):
            // CloudStack's choice, so that its hosts and ours are in one network: the group 239.<id's three bytes>, ten
            // routers, and the port that Linux had before one was assigned.
            try links.addVXLAN(
                name, group: Self.group, id: id, on: lower, multicast: 239 << 24 | id, timeToLive: 10, port: 8472)
        case .none: break
        }
    }

    private func isUplink(_ link: NetworkLink, of bridge: ManagedBridge, on lower: NetworkLink) -> Bool {
        guard link.lower == lower.index else { return false }
        return switch bridge.uplink {
        case .vlan(let id, _): link.kind == "vlan" && link.id == id
        case .vxlan(let id, _): link.kind == "vxlan" && link.id == id
        case .none: false
        }
    }

    /// Switches the bridge on. Except on a control network the host gets no address on it, not even an IPv6 one:
    /// guests' networks are separate from the host's.
    private func settle(_ bridge: ManagedBridge, _ link: NetworkLink, _ links: borrowing NetworkLinks) throws {
        try links.setNoIPv6Address(link)
        if case .none(let address, let prefixLength) = bridge.uplink {
            try links.addAddress(link, address, prefixLength: prefixLength)
        }
        try links.setUp(link)
    }
}

// MARK: Reservations

extension ManagedBridges {
    /// A file that holds its time of creation, by a clock that is never set and continues while the host sleeps.
    private func reserve(_ bridge: String, _ device: String) throws {
        try DurableFile.makeDirectory("\(directory)/\(bridge)", mode: 0o700)
        try Self.write("\(Self.now)\n", to: "\(directory)/\(bridge)/\(device)")
    }

    private func hasReservation(_ bridge: String) -> Bool {
        let names = (try? DurableFile.list("\(directory)/\(bridge)")) ?? []
        let now = Self.now
        return names.contains { name in
            guard let bytes = try? DurableFile.read("\(directory)/\(bridge)/\(name)") else { return false }
            // A time in the future is from before the host's start.
            guard let made = Int(String(decoding: bytes, as: UTF8.self).dropLast()), made <= now else { return false }
            return made >= now - Self.lastingSeconds
        }
    }

    /// Seconds since the host was started.
    private static var now: Int {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return time.tv_sec
    }
}
