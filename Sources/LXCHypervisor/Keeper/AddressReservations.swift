// SPDX-License-Identifier: Apache-2.0

import LXCCore
import LinuxSystem
import Synchronization

/// Hardware addresses chosen for interfaces that no hypervisor knows yet: while an address is reserved, no other
/// operation of this program, or of another on the host, takes it.
final class AddressReservations: Sendable {
    /// The outcome of reserving addresses.
    enum Outcome<Value> {
        /// All addresses were reserved until `body` returned this value.
        case done(Value)
        /// Another operation has reserved this address.
        case reserved(MACAddress)
    }

    /// The directory of the guest locks; `nil` if no other program manages the guests. Address locks cannot collide
    /// with guest locks because guest names contain no colons.
    private let directory: String?
    private let own = Mutex<Set<MACAddress>>([])

    init(directory: String?) { self.directory = directory }

    /// Runs `body` while the addresses are reserved, or does not run it at all.
    ///
    /// - Throws: the errors of `body`; `LXCError` `unsafe` if other users can access the lock directory, `io`.
    func hold<Value>(_ addresses: [MACAddress], _ body: () async throws -> Value) async throws -> Outcome<Value> {
        if let directory, !addresses.isEmpty {
            try await BlockingPool.shared.run { _ in try GuestLocks.prepare(directory) }
        }
        // Reserved in a fixed order, so that of two operations on the same addresses one gets them all.
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
