// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Tells synchronous code on any thread that the task it works for was cancelled.
public final class Cancellation: Sendable {
    private let flag = Atomic<Bool>(false)

    /// Creates a token that is not cancelled.
    public init() {}

    /// Whether ``cancel()`` was called.
    public var isCancelled: Bool { flag.load(ordering: .relaxed) }

    /// Asks the work to stop; it sees this at its next ``check()``.
    public func cancel() { flag.store(true, ordering: .relaxed) }

    /// Throws `CancellationError` once cancelled. Cheap enough for every block and entry.
    public func check() throws {
        if isCancelled { throw CancellationError() }
    }
}
