// SPDX-License-Identifier: Apache-2.0

/// Threads that process queued pieces of work, each with a state of its own.
///
/// The first failure ends the work: queued pieces are dropped, and producers and waiters get the error.
package final class WorkCrew<Work: Sendable, State>: @unchecked Sendable {
    // @unchecked: every access to the variables below holds `condition`; a state is one thread's until it is handed out.

    /// The order in which work is processed, and how much may be queued.
    package enum Order: Sendable {
        /// The oldest first; producers wait while `limit` pieces are queued.
        case oldestFirst(limit: Int)
        /// The newest first, without a limit: the workers themselves may add work.
        case newestFirst
    }

    private let condition = Condition()
    private let order: Order
    private let perform: @Sendable (Work, State, WorkCrew) throws -> Void
    private var workers: [Worker] = []
    private var waiting: [Work] = []
    /// The number of pieces added and not done.
    private var outstanding = 0
    /// The number of threads that wait for work.
    private var idle = 0
    private var isEnding = false
    private var failure: (any Error)?
    private var states: [State] = []

    /// Starts the threads.
    ///
    /// - Parameters:
    ///   - name: the threads' name, for debuggers.
    ///   - threads: the number of threads.
    ///   - order: in what order work is taken.
    ///   - makeState: makes a thread's state, on that thread.
    ///   - perform: does one piece of work, on any of the threads; may give more where the order has no limit.
    package init(
        _ name: String, threads: Int, order: Order, makeState: @escaping @Sendable () -> State,
        perform: @escaping @Sendable (Work, State, WorkCrew) throws -> Void
    ) {
        self.order = order
        self.perform = perform
        // No thread is waited for before `end`, so all of them are in `workers` by then.
        workers = (0..<threads).map { _ in Worker(name) { [self] in serve(makeState()) } }
    }

    /// Adds a piece of work.
    ///
    /// - Throws: the first failure of any work added before.
    package func give(_ work: Work) throws {
        condition.lock()
        defer { condition.unlock() }
        if case .oldestFirst(let limit) = order {
            while waiting.count >= limit, failure == nil, !isEnding { condition.wait() }
        }
        if let failure { throw failure }
        guard !isEnding else { return }
        waiting.append(work)
        outstanding += 1
        // Threads and producers wait for one condition: a signal to one might wake the wrong one.
        if idle > 0 { condition.broadcast() }
    }

    /// Waits until everything added is done.
    ///
    /// - Throws: the first failure.
    package func settle() throws {
        condition.lock()
        defer { condition.unlock() }
        while outstanding > 0, failure == nil { condition.wait() }
        if let failure { throw failure }
    }

    /// Drops queued work, waits for work in progress, and ends the threads. Must be called exactly once, whether the
    /// work failed or not.
    @discardableResult
    package func end() -> [State] {
        condition.withLock {
            isEnding = true
            drop()
            condition.broadcast()
        }
        for worker in workers { worker.join() }
        workers = []
        // An ending thread may keep the crew alive for a moment; it must not keep a state, such as open files.
        defer { states = [] }
        return states
    }

    private func serve(_ state: State) {
        while let work = next() {
            do {
                try perform(work, state, self)
                condition.withLock { finish(1) }
            } catch {
                condition.withLock {
                    if failure == nil { failure = error }
                    drop()
                    finish(1)
                }
            }
        }
        condition.withLock { states.append(state) }
    }

    private func next() -> Work? {
        condition.lock()
        defer { condition.unlock() }
        while waiting.isEmpty, !isEnding {
            idle += 1
            condition.wait()
            idle -= 1
        }
        guard !waiting.isEmpty else { return nil }
        guard case .oldestFirst(let limit) = order else { return waiting.removeLast() }
        if waiting.count >= limit { condition.broadcast() }
        return waiting.removeFirst()
    }

    private func drop() {
        finish(waiting.count)
        waiting = []
    }

    private func finish(_ count: Int) {
        outstanding -= count
        if outstanding == 0 || failure != nil { condition.broadcast() }
    }
}
