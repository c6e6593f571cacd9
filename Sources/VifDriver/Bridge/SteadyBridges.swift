// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import LXCCore
import LinuxSystem

/// Keeps a bridge's hardware address and MTU constant, whatever cables are connected to it.
///
/// A bridge adopts the lowest hardware address and the smallest MTU of its ports, unless they were set explicitly.
/// libvirt makes a guest's cable with a random address and an MTU of 1500, even when a guest restarts by itself; so
/// both are set, to their present values, before the first cable is connected.
struct SteadyBridges: Sendable {
    /// The kernel's MTU for the ends of a new cable.
    private static let cableMTU = 1500

    let host: HostNetwork
    /// The directory that records the bridges with an MTU set: the kernel does not report it.
    let directory: String

    private var records: String { "\(directory)/bridges-of-fixed-mtu" }

    /// Fixes the properties a cable could change.
    ///
    /// - Parameters:
    ///   - bridge: the bridge's name.
    ///   - mtu: the MTU of the new NIC; nil for one with the bridge's.
    /// - Throws: `LXCError` `permissionDenied`, `io`; `CancellationError`.
    func keep(_ bridge: String, for mtu: Int?) async throws {
        let pool = BlockingPool.shared
        let isNeeded = try await pool.run { _ in try !isAddressKept(bridge) || mtuToKeep(bridge, for: mtu) != nil }
        guard isNeeded else { return }
        try await pool.run { _ in try ManagedBridges.makeDirectory(directory) }
        try await FileLock.hold("\(directory)/\(bridge).lock", patience: HostNetwork.lockPatience, pool: pool) {
            try await pool.run { _ in
                let links = try NetworkLinks()
                guard let link = try links.link(bridge), link.kind == "bridge" else { return }
                if !isAddressKept(bridge) { try links.setAddress(link, link.address) }
                if let kept = try mtuToKeep(bridge, for: mtu) { try keepMTU(kept, of: link, links) }
            }
        }
    }

    /// Whether the address was set explicitly, or that is unknown.
    private func isAddressKept(_ bridge: String) -> Bool { host.hasSetAddress(bridge) != false }

    /// The MTU to set; nil if it is set already, and if all ports have less than a new cable and none changes it.
    private func mtuToKeep(_ bridge: String, for mtu: Int?) throws -> Int? {
        guard let now = host.mtu(of: bridge), now > Self.cableMTU || mtu ?? 0 > now else { return nil }
        guard let record = try record(of: bridge) else { return now }
        return record.isDone ? nil : record.mtu
    }

    /// The kernel notices only a change. One byte more for a moment is harmless: devices above the bridge would follow
    /// it downwards, and not up again.
    private func keepMTU(_ mtu: Int, of link: NetworkLink, _ links: borrowing NetworkLinks) throws {
        guard mtu < 65535 else { return }
        try write(Record(index: Int(link.index), mtu: mtu, isDone: false), link.name)
        if link.mtu == mtu { try links.setMTU(link, mtu + 1) }
        try links.setMTU(link, mtu)
        try write(Record(index: Int(link.index), mtu: mtu, isDone: true), link.name)
    }

    // MARK: Records

    /// The change made to a bridge, or about to be made.
    private struct Record: Codable {
        /// The device's number: another bridge of the name has another.
        var index: Int
        var mtu: Int
        var isDone: Bool
    }

    /// The record of a bridge, unless it is of an earlier bridge of the same name.
    private func record(of bridge: String) throws -> Record? {
        guard let bytes = try DurableFile.read("\(records)/\(bridge)") else { return nil }
        let record = try? JSONDecoder().decode(Record.self, from: Data(bytes))
        return record?.index == host.index(of: bridge) ? record : nil
    }

    private func write(_ record: Record, _ bridge: String) throws {
        try DurableFile.makeDirectory(records, mode: 0o700)
        let text = try String(decoding: JSONEncoder().encode(record), as: UTF8.self)
        try ManagedBridges.write(text, to: "\(records)/\(bridge)")
    }
}
