// SPDX-License-Identifier: Apache-2.0

import LXCCore
import LinuxSystem
import Synchronization

/// Hardware addresses that were chosen for interfaces no hypervisor knows yet: as long as one is reserved, no other operation
/// of this program, or of another on the host, takes it.
final class AddressReservations: Sendable {
    /// How it went with some addresses.
    enum Outcome<Value> {
        /// All of them were reserved until `body` returned this.
        case done(Value)
        /// Another operation has this one.
        case reserved(MACAddress)
    }

    /// The directory of the guests' locks; nil where no other program reaches the guests. No guest has a name with colons.
    private let directory: String?
    private let own = Mutex<Set<MACAddress>>([])

    init(directory: String?) { self.directory = directory }

    /// Runs `body` with the addresses reserved, or not at all.
    ///
    /// - Throws: what `body` throws; `LXCError` `unsafe` when others can come to the directory of the locks, `io`.
    func hold<Value>(_ addresses: [MACAddress], _ body: () async throws -> Value) async throws -> Outcome<Value> {
        if let directory, !addresses.isEmpty {
            try await BlockingPool.shared.run { _ in try GuestLocks.prepare(directory) }
        }
        // In one order: of two operations on the same addresses one has them all.
        return try await hold(addresses.sorted { "\($0)" < "\($1)" }[...], body)
    }

    private func hold<Value>(
        _ addresses: ArraySlice<MACAddress>, _ body: () async throws -> Value
    ) async throws -> Outcome<Value> {
        guard let address = addresses.first else { return .done(try await body()) }
        guard own.withLock({ $0.insert(address).inserted }) else { return .reserved(address) }
        defer { own.withLock { _ = $0.remove(address) } }
        guard let directory else { return try await hold(addresses.dropFirst(), body) }
        let outcome = try await FileLock.tryHold("\(directory)/\(address)", pool: .shared) {
            try await hold(addresses.dropFirst(), body)
        }
        return outcome ?? .reserved(address)
    }
}
