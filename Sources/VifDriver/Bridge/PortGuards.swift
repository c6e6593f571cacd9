// SPDX-License-Identifier: Apache-2.0

import Glibc
import LXCCore
import LinuxSystem

/// Holds guests to the security of their NICs on the host's ends of their cables: the one place that asks whether the
/// kernel enforces it.
///
/// nftables' rules stay in the kernel when their port is gone, and would apply to the next port of the name. So a mark
/// is made before they are written and removed after them: plugging a NIC without security, and unplugging one, find by
/// the mark the rules of a killed program.
struct PortGuards: Sendable {
    /// The time for the cable of a run that has just ended to disappear.
    private static let farewell = Duration.seconds(2)

    let host: HostNetwork
    /// The directory of the marks.
    let directory: String

    private var marks: String { "\(directory)/ports-with-frame-rules" }

    /// Checks that the host's end is free, and that the kernel enforces the NIC's security.
    ///
    /// - Throws: `LXCError` `alreadyExists` if a device has the name: it is a running guest's, possibly another
    ///   libvirt's, and its rules must not be changed; `unsupported`.
    func check(_ nic: NIC, _ end: String) async throws {
        try requireEnforcement(nic)
        let deadline = ContinuousClock.now + Self.farewell
        while host.hasDevice(end) {
            guard ContinuousClock.now < deadline else {
                throw LXCError(
                    .alreadyExists,
                    "the host has the network device \(end) already, of a running guest with the same name and NIC; stop "
                        + "that guest, or give this one another name")
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// Replaces the rules enforced on the host's end by those of the NIC's security; without security there are none.
    func enforce(_ nic: NIC, _ end: String) async throws {
        guard let security = nic.security else { return try await remove(end) }
        try requireEnforcement(nic)
        guard let mac = nic.mac else { throw NIC.needsAddress(nic.deviceID) }
        try security.check()
        let rules = try FrameRules(port: end, mac: mac, security: security)
        try await locked {
            try DurableFile.makeDirectory(marks, mode: 0o700)
            try ManagedBridges.write("", to: "\(marks)/\(end)")
            try NFTables.run(rules.installation)
        }
    }

    /// Removes the rules of a host's end that is gone. They stay while it exists: its owner is unknown.
    func remove(_ end: String) async throws {
        guard access("\(marks)/\(end)", F_OK) == 0 else { return }
        try await locked {
            guard !host.hasDevice(end) else { return }
            try NFTables.run(FrameRules.removal(of: end))
            unlink("\(marks)/\(end)")
            // Others' marks keep it.
            rmdir(marks)
        }
    }

    private func requireEnforcement(_ nic: NIC) throws {
        if nic.security?.rules != nil { try host.requireFiltering() }
    }

    private func locked(_ body: @escaping @Sendable () throws -> Void) async throws {
        let pool = BlockingPool.shared
        try await pool.run { _ in try ManagedBridges.makeDirectory(directory) }
        try await FileLock.hold("\(directory)/frame-rules-lock", patience: HostNetwork.lockPatience, pool: pool) {
            try await pool.run { _ in try body() }
        }
    }
}
