// SPDX-License-Identifier: Apache-2.0

/// Threads for C calls that block, so that Swift's cooperative pool never does.
///
/// `await pool.run { … }` costs about 30 µs a round trip; a blocking call on the cooperative pool of a two-core host
/// stops every other task of the program for as long as it lasts.
public final class BlockingPool: Sendable {
    /// The pool this package uses unless the embedder passes another: eight threads, started on first use.
    public static let shared = BlockingPool(threads: 8)

    private let queue: WorkQueue
    private let threads: Int

    /// Makes a pool of `threads` threads. They are started with the first call and end with the pool.
    public init(threads: Int) {
        precondition(threads > 0, "a pool needs a thread")
        queue = WorkQueue()
        self.threads = threads
    }

    deinit { queue.close() }

    /// Runs `body` on a thread of the pool and returns what it returns.
    ///
    /// When the calling task is cancelled, the `Cancellation` given to `body` is; a C call in flight is not interrupted.
    ///
    /// - Throws: what `body` throws.
    public func run<Value: Sendable>(_ body: @escaping @Sendable (Cancellation) throws -> Value) async throws -> Value {
        let cancellation = Cancellation()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                queue.enqueue(upTo: threads) { continuation.resume(with: Result { try body(cancellation) }) }
            }
        } onCancel: {
            cancellation.cancel()
        }
    }
}

/// The work that waits and the threads that take it, behind one condition variable.
private final class WorkQueue: @unchecked Sendable {
    // @unchecked: every access to the variables below holds `condition`.
    private let condition = Condition()
    private var waiting: [@Sendable () -> Void] = []
    private var idle = 0
    private var started = 0
    private var isClosed = false

    func enqueue(upTo limit: Int, _ work: @escaping @Sendable () -> Void) {
        condition.withLock {
            waiting.append(work)
            if idle < waiting.count, started < limit {
                started += 1
                SystemThread.detach("lxc-pool") { [self] in serve() }
            } else {
                condition.signal()
            }
        }
    }

    func close() {
        condition.withLock {
            isClosed = true
            condition.broadcast()
        }
    }

    private func serve() {
        while let work = next() { work() }
    }

    private func next() -> (@Sendable () -> Void)? {
        condition.withLock {
            idle += 1
            defer { idle -= 1 }
            while waiting.isEmpty {
                if isClosed { return nil }
                condition.wait()
            }
            return waiting.removeFirst()
        }
    }
}
