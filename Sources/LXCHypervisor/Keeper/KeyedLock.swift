// SPDX-License-Identifier: Apache-2.0

/// Serializes operations on the same object; operations on different objects run concurrently.
actor KeyedLock<Key: Hashable & Sendable> {
    private struct Waiter {
        let number: UInt64
        let continuation: CheckedContinuation<Void, any Error>
    }

    private var waiting: [Key: [Waiter]] = [:]
    private var lastNumber: UInt64 = 0

    /// Runs `body` when no other caller is running one for the key.
    ///
    /// - Parameters:
    ///   - key: the object.
    ///   - limit: how long to wait for the others.
    ///   - failure: the error thrown if they have not ended by then.
    ///   - body: runs exclusively for the key.
    /// - Returns: the result of `body`.
    /// - Throws: the errors of `body`; `CancellationError` immediately if cancelled while waiting.
    nonisolated func hold<Value>(
        _ key: Key, within limit: Duration, orThrow failure: @Sendable @escaping () -> any Error,
        _ body: () async throws -> Value
    ) async throws -> Value {
        try await acquire(key, limit, failure)
        let result: Result<Value, any Error>
        do {
            try Task.checkCancellation()
            result = .success(try await body())
        } catch {
            result = .failure(error)
        }
        await release(key)
        return try result.get()
    }

    private func acquire(
        _ key: Key, _ limit: Duration, _ failure: @Sendable @escaping () -> any Error
    ) async throws {
        guard waiting[key] != nil else {
            waiting[key] = []
            return
        }
        lastNumber += 1
        let number = lastNumber
        let timer = Task {
            try await Task.sleep(for: limit)
            giveUp(number, key, failure())
        }
        defer { timer.cancel() }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                if Task.isCancelled {
                    continuation.resume(throwing: CancellationError())
                } else {
                    waiting[key, default: []].append(Waiter(number: number, continuation: continuation))
                }
            }
        } onCancel: {
            // Reaches the actor after the waiter has been appended, because nothing suspends before that.
            Task { await self.giveUp(number, key, CancellationError()) }
        }
    }

    /// Removes a waiter from the queue, unless it already has the key.
    private func giveUp(_ number: UInt64, _ key: Key, _ error: any Error) {
        guard let index = waiting[key]?.firstIndex(where: { $0.number == number }) else { return }
        waiting[key]?.remove(at: index).continuation.resume(throwing: error)
    }

    /// Passes the key to the longest waiting caller.
    private func release(_ key: Key) {
        guard let first = waiting[key]?.first else {
            waiting[key] = nil
            return
        }
        waiting[key]?.removeFirst()
        first.continuation.resume()
    }
}
