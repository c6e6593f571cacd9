// SPDX-License-Identifier: Apache-2.0

import LXCCore

/// Limits the amount of concurrent work: blocks its producer while that is too much, and reports the first failure to
/// it.
final class FlowBudget: @unchecked Sendable {
    // @unchecked: every access to the variables below holds `condition`.
    private let condition = Condition()
    private let maximumItems: Int
    private let maximumBytes: Int
    private var items = 0
    private var bytes = 0
    private var failure: (any Error)?

    /// Allows so many pieces of work and bytes.
    init(items: Int, bytes: Int) {
        maximumItems = items
        maximumBytes = bytes
    }

    /// The first failure.
    var error: (any Error)? { condition.withLock { failure } }

    /// Takes a share as soon as there is one.
    ///
    /// - Throws: the first failure; `CancellationError`.
    func acquire(items newItems: Int, bytes newBytes: Int, cancellation: Cancellation?) throws {
        condition.lock()
        defer { condition.unlock() }
        while failure == nil, isOver(newItems, newBytes) { try wait(cancellation) }
        if let failure { throw failure }
        items += newItems
        bytes += newBytes
    }

    /// A single piece of work is always admitted, however large.
    private func isOver(_ newItems: Int, _ newBytes: Int) -> Bool {
        (items > 0 && items + newItems > maximumItems) || (bytes > 0 && bytes + newBytes > maximumBytes)
    }

    /// Gives a share back.
    func release(items oldItems: Int, bytes oldBytes: Int) {
        condition.withLock {
            items -= oldItems
            bytes -= oldBytes
            condition.broadcast()
        }
    }

    /// Waits until nothing is under way.
    ///
    /// - Throws: the first failure; `CancellationError`.
    func waitUntilIdle(cancellation: Cancellation?) throws {
        condition.lock()
        defer { condition.unlock() }
        while failure == nil, items > 0 || bytes > 0 { try wait(cancellation) }
        if let failure { throw failure }
    }

    /// Ends the work; only the first failure counts.
    func fail(_ error: any Error) {
        condition.withLock {
            failure = failure ?? error
            condition.broadcast()
        }
    }

    private func wait(_ cancellation: Cancellation?) throws {
        try cancellation?.check()
        condition.wait(atMost: .milliseconds(50))
    }
}
