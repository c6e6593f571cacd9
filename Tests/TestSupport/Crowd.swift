// SPDX-License-Identifier: Apache-2.0

// For who links it: without an import the dependency would look unused.
import MutexUnderstood
import Synchronization

/// Counts how many are inside at once, the most there were, and how many came in all.
public final class Crowd: Sendable {
    private let counts = Mutex((now: 0, most: 0, total: 0))

    /// Nobody yet.
    public init() {}

    /// How many are inside.
    public var now: Int { counts.withLock { $0.now } }
    /// The most there were inside at once.
    public var most: Int { counts.withLock { $0.most } }
    /// How many came in all.
    public var total: Int { counts.withLock { $0.total } }

    /// Comes in.
    public func enter() {
        counts.withLock {
            $0.now += 1
            $0.total += 1
            $0.most = max($0.most, $0.now)
        }
    }

    /// Goes out.
    public func leave() { counts.withLock { $0.now -= 1 } }
}
