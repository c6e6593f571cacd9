// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc
import LXCCore
import LinuxSystem

/// Has operations on one guest exclude each other: those of this program, and where others reach the same guests those of
/// all programs of the host, by a lock that ends with its holder however that ends.
///
/// The lock is named by the guest alone. Devices and network filters of the host have that name in them as well, whichever
/// hypervisor, pool or kind the guest is of.
struct GuestLocks: Sendable {
    private static let pause = Duration.milliseconds(50)

    /// A directory of this user's, the same for all programs; nil where no other reaches the guests.
    private let directory: String?
    private let own = KeyedLock<GuestName>()

    init(directory: String?) { self.directory = directory }

    /// Runs `body` when no other operation on the guest is under way.
    ///
    /// - Throws: what `body` throws; `LXCError` `timedOut` naming the other operation when it has not ended within `limit`;
    ///   `unsafe` when others can come to the directory of the locks; `CancellationError` at once when cancelled while
    ///   waiting.
    func hold<Value>(
        _ guest: GuestName, for operation: String, within limit: Duration, _ body: () async throws -> Value
    ) async throws -> Value {
        let deadline = ContinuousClock.now + limit
        let busy: @Sendable (String?) -> LXCError = { holder in
            LXCError(
                .timedOut,
                "\(operation) has waited for \(limit) for \(holder ?? "another operation on it") to end on \(guest); wait "
                    + "for that, or end the program that does it, and try again")
        }
        return try await own.hold(guest, within: limit, orThrow: { busy(nil) }) {
            guard let directory else { return try await body() }
            let path = "\(directory)/\(guest)"
            try await BlockingPool.shared.run { _ in try Self.prepare(directory) }
            while true {
                let value = try await FileLock.tryHold(
                    path, note: "\(operation) by process \(getpid())", pool: .shared
                ) { Held(value: try await body()) }
                if let value { return value.value }
                guard ContinuousClock.now < deadline else {
                    throw busy(FileLock.note(of: path)?.escapedForDisplay)
                }
                try await Task.sleep(for: Self.pause)
            }
        }
    }

    /// Tells what the body returned from a lock that was not to be had.
    private struct Held<Value> { let value: Value }

    /// Makes the directory of the locks, or checks that it is this user's alone.
    static func prepare(_ directory: String) throws {
        try DurableFile.makeOwnDirectories(directory)
        try DurableFile.makePrivateDirectory(directory)
    }
}
