// SPDX-License-Identifier: Apache-2.0

/// Passes values between threads in order, and makes producers wait while too many are queued.
package final class BoundedQueue<Element: Sendable>: @unchecked Sendable {
    // @unchecked: every access to the variables below holds `condition`.
    private let condition = Condition()
    private let capacity: Int
    private var elements: [Element] = []
    private var isFinished = false
    private var isCancelled = false
    /// The numbers of threads that wait for an element and for room.
    private var takers = 0
    private var givers = 0

    /// An empty queue with room for `capacity` elements.
    package init(capacity: Int) { self.capacity = capacity }

    /// Adds an element once there is room; `false` when the queue is closed.
    package func push(_ element: Element) -> Bool {
        condition.lock()
        defer { condition.unlock() }
        while isFull {
            givers += 1
            condition.wait()
            givers -= 1
        }
        return add(element)
    }

    /// Adds an element once there is room; `false` when the queue is closed.
    ///
    /// - Throws: `CancellationError` when it waits for room and `cancellation` is, or becomes, cancelled.
    package func push(_ element: Element, cancellation: Cancellation) throws -> Bool {
        condition.lock()
        defer { condition.unlock() }
        while isFull {
            try cancellation.check()
            givers += 1
            condition.wait(atMost: .milliseconds(50))
            givers -= 1
        }
        return add(element)
    }

    private var isFull: Bool { elements.count >= capacity && !isCancelled }

    private func add(_ element: Element) -> Bool {
        guard !isCancelled else { return false }
        elements.append(element)
        if takers > 0 { wake() }
        return true
    }

    /// Waits for the oldest element, removes and returns it; `nil` at the end of the input.
    package func pop() -> Element? {
        condition.lock()
        defer { condition.unlock() }
        while elements.isEmpty, !isFinished, !isCancelled {
            takers += 1
            condition.wait()
            takers -= 1
        }
        guard !elements.isEmpty else { return nil }
        // Queues are short; moving the rest up is cheap compared with the work an element represents.
        let element = elements.removeFirst()
        if givers > 0 { wake() }
        return element
    }

    /// Declares the end of the input; queued elements are still delivered.
    package func finish() {
        condition.withLock {
            isFinished = true
            condition.broadcast()
        }
    }

    /// Drops everything: afterwards nothing is delivered and nothing can be pushed.
    package func cancel() {
        condition.withLock {
            isCancelled = true
            elements.removeAll()
            condition.broadcast()
        }
    }

    /// Producers and consumers wait for the same condition; only if both wait, one signal might wake the wrong one.
    private func wake() {
        if takers > 0, givers > 0 { condition.broadcast() } else { condition.signal() }
    }
}
