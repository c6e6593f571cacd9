// SPDX-License-Identifier: Apache-2.0

/// A lock of a place that is held.
public struct StoreLock: Sendable {
    /// The other holders a holder excludes.
    public enum Mode: Hashable, Sendable {
        /// Everyone.
        case exclusive
        /// Exclusive holders.
        case shared
    }

    private let check: @Sendable () async throws -> Void
    /// Whether the lock was taken from a holder that may still be running, and that continues when it can: what that one has
    /// under way must find nothing.
    public let isTakenOver: Bool

    /// Creates a lock.
    ///
    /// - Parameters:
    ///   - isTakenOver: whether it was taken from a holder that may still be running.
    ///   - check: implements ``confirm()``; empty for a lock that cannot be lost while its holder runs.
    public init(isTakenOver: Bool = false, _ check: @escaping @Sendable () async throws -> Void = {}) {
        self.isTakenOver = isTakenOver
        self.check = check
    }

    /// Makes sure that the lock is still held, and will be for long enough for one more call. Stores ask right before each
    /// change that others see.
    ///
    /// - Throws: `LXCError` `inUse` if another holder has it now.
    public func confirm() async throws { try await check() }
}
