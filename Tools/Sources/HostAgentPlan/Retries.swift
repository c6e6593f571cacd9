// SPDX-License-Identifier: Apache-2.0

package import LXCHypervisor

/// Decides when a step may be retried. The wait doubles after each attempt, whether or not it succeeded: a container
/// that starts and ends immediately is no better than one that does not start.
package struct Retries: Sendable {
    /// One kind of step with one container.
    package struct Key: Hashable, Sendable {
        package var container: GuestName
        package var step: Plan.Step.Kind

        package init(_ container: GuestName, _ step: Plan.Step.Kind) {
            self.container = container
            self.step = step
        }
    }

    private struct Attempt {
        var time: ContinuousClock.Instant
        var wait: Duration
    }

    private let initial: Duration
    private let maximum: Duration
    private var attempts: [Key: Attempt] = [:]

    /// Creates retries with a first and a longest wait.
    package init(initial: Duration = .seconds(1), maximum: Duration = .seconds(60)) {
        self.initial = initial
        self.maximum = maximum
    }

    /// Whether the wait since the last attempt is over.
    package func isDue(_ key: Key, at now: ContinuousClock.Instant) -> Bool {
        attempts[key].map { now >= $0.time + $0.wait } ?? true
    }

    /// Notes an attempt.
    ///
    /// - Returns: the wait before the next.
    package mutating func attempt(_ key: Key, at now: ContinuousClock.Instant) -> Duration {
        let wait = min(attempts[key].map { $0.wait * 2 } ?? initial, maximum)
        attempts[key] = Attempt(time: now, wait: wait)
        return wait
    }

    /// Forgets attempts at what has not been needed for the longest wait.
    package mutating func forget(unless needed: Set<Key>, at now: ContinuousClock.Instant) {
        attempts = attempts.filter { needed.contains($0.key) || now - $0.value.time <= maximum }
    }

    /// Forgets all attempts: something was changed, so everything is worth a try.
    package mutating func forgetAll() { attempts = [:] }
}
