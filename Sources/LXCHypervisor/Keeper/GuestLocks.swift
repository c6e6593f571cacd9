// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc
import LXCCore
import LinuxSystem

/// Makes operations on one guest mutually exclusive: those of this program and, if other programs manage the same
/// guests, those of all programs on the host, through a lock that is released when its holder ends for any reason.
///
/// The lock is named after the guest only, because host devices and network filters are too, regardless of the guest's
/// hypervisor, pool or kind.
struct GuestLocks: Sendable {
    private static let pause = Duration.milliseconds(50)

    /// A directory of this user that all programs share; `nil` if no other program manages the guests.
    private let directory: String?
    private let own = KeyedLock<GuestName>()

    init(directory: String?) { self.directory = directory }

    /// Runs `body` once no other operation on the guest is in progress.
    ///
    /// - Throws: the errors of `body`; `LXCError` `timedOut`, naming the other operation, if it has not ended within
    ///   `limit`; `unsafe` if other users can access the lock directory; `CancellationError` immediately if cancelled
    ///   while waiting.
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

    /// Distinguishes the result of the body from a lock that could not be acquired.
    private struct Held<Value> { let value: Value }

    /// Creates the lock directory, or checks that only this user can access it.
    static func prepare(_ directory: String) throws {
        try DurableFile.makeOwnDirectories(directory)
        try DurableFile.makePrivateDirectory(directory)
    }
}
