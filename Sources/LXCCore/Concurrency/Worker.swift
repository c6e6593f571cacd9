// SPDX-License-Identifier: Apache-2.0

import Dispatch

/// A thread of its own for one stage of a longer work; it may block.
package final class Worker: Sendable {
    private let done = DispatchSemaphore(value: 0)

    /// Starts the thread.
    package init(_ name: String, _ body: @escaping @Sendable () -> Void) {
        SystemThread.detach(name) { [done] in
            body()
            done.signal()
        }
    }

    /// Waits until the body has returned. To be called once.
    package func join() { done.wait() }

    /// Waits until the body has returned. To be called once, unless it throws.
    ///
    /// - Throws: `CancellationError` when `cancellation` is, or becomes, cancelled before.
    package func join(cancellation: Cancellation) throws {
        while done.wait(timeout: .now() + .milliseconds(50)) == .timedOut { try cancellation.check() }
    }
}
