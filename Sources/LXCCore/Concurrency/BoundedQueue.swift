import Foundation

/// Hands values from threads to threads in order, and makes the givers wait while too many are under way.
package final class BoundedQueue<Element: Sendable>: @unchecked Sendable {
    // @unchecked: every access to the variables below holds `condition`.
    private let condition = NSCondition()
    private let capacity: Int
    private var elements: [Element] = []
    private var isFinished = false
    private var isCancelled = false
    /// How many wait for an element, and how many for room.
    private var takers = 0
    private var givers = 0

    /// An empty queue with room for `capacity` elements.
    package init(capacity: Int) { self.capacity = capacity }

    /// Adds an element, once there is room. False when nobody will take it any more.
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

    /// Adds an element, once there is room. False when nobody will take it any more.
    ///
    /// - Throws: `CancellationError` when it waits for room and `cancellation` is, or becomes, cancelled.
    package func push(_ element: Element, cancellation: Cancellation) throws -> Bool {
        condition.lock()
        defer { condition.unlock() }
        while isFull {
            try cancellation.check()
            givers += 1
            _ = condition.wait(until: Date(timeIntervalSinceNow: 0.05))
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

    /// Takes the oldest element, once there is one. Nil when there will be none.
    package func pop() -> Element? {
        condition.lock()
        defer { condition.unlock() }
        while elements.isEmpty, !isFinished, !isCancelled {
            takers += 1
            condition.wait()
            takers -= 1
        }
        guard !elements.isEmpty else { return nil }
        // Queues are short; moving the rest up costs nothing beside what an element stands for.
        let element = elements.removeFirst()
        if givers > 0 { wake() }
        return element
    }

    /// Says that nothing more is pushed; what is there is still taken.
    package func finish() {
        condition.withLock {
            isFinished = true
            condition.broadcast()
        }
    }

    /// Drops everything: from now on nothing is taken and nothing can be pushed.
    package func cancel() {
        condition.withLock {
            isCancelled = true
            elements.removeAll()
            condition.broadcast()
        }
    }

    /// Givers and takers wait for the same condition; only where both do, one signal might wake the wrong one.
    private func wake() {
        if takers > 0, givers > 0 { condition.broadcast() } else { condition.signal() }
    }
}
