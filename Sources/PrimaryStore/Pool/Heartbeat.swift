// SPDX-License-Identifier: Apache-2.0

import FileTree
public import FoundationEssentials
import LXCCore
import StoreFiles

/// A store on which CloudStack's hosts show each other that they are alive: `<pool>/KVMHA/hb-<private address>` holds
/// the time of the last beat in seconds since 1970. A host whose beat is older than 60 seconds counts as dead.
public protocol HeartbeatStore: PrimaryStore {
    /// Writes a beat. The file is the old or the new one at any moment, never half of one.
    ///
    /// - Throws: `LXCError` `invalidArgument` for an invalid IP address, `unavailable`, `io`.
    func writeHeartbeat(of address: String, at time: Date) async throws

    /// The last beat of a host, this package's or CloudStack's.
    ///
    /// - Returns: the time by that host's clock; nil if there is no beat.
    /// - Throws: `LXCError` `invalidArgument` for an invalid IP address, `corrupt`, `unavailable`, `io`.
    func heartbeat(of address: String) async throws -> Date?
}

extension Pool {
    static let heartbeats = "KVMHA"

    func writeHeartbeat(of address: String, at time: Date) async throws {
        let path = try Self.heartbeatFile(address)
        // A directory made by CloudStack is used unchanged.
        if try await !files.isDirectory(Self.heartbeats) { try await files.makePrivateDirectory(Self.heartbeats) }
        try await files.write(Array("\(Int64(time.timeIntervalSince1970))\n".utf8), to: path)
    }

    func heartbeat(of address: String) async throws -> Date? {
        let path = try Self.heartbeatFile(address)
        guard let bytes = try await files.read(path, limit: 64) else { return nil }
        guard let seconds = Int64(String(decoding: bytes, as: UTF8.self).filter { !$0.isWhitespace }) else {
            throw LXCError(.corrupt, "\(files)/\(path) holds no time in seconds")
        }
        return Date(timeIntervalSince1970: Double(seconds))
    }

    private static func heartbeatFile(_ address: String) throws -> String {
        guard !address.isEmpty, address.utf8.count <= 45,
            address.allSatisfy({ $0.isHexDigit || $0 == "." || $0 == ":" })
        else {
            throw LXCError(.invalidArgument, "\"\(address.escapedForDisplay)\" is not an IP address for a heartbeat")
        }
        return "\(heartbeats)/hb-\(address)"
    }
}

extension HeartbeatStore where Self: PooledStore {
    /// Replaces the host's file in the pool.
    public func writeHeartbeat(of address: String, at time: Date) async throws {
        try await pool.writeHeartbeat(of: address, at: time)
    }

    /// Reads the host's file in the pool.
    public func heartbeat(of address: String) async throws -> Date? { try await pool.heartbeat(of: address) }
}

extension SharedMountPointStore: HeartbeatStore {}

extension NFSStore: HeartbeatStore {}
