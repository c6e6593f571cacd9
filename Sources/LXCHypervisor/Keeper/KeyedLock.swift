// SPDX-License-Identifier: Apache-2.0

/// Lets one operation at a time work on an object, and operations on different objects side by side.
actor KeyedLock<Key: Hashable & Sendable> {
    private struct Waiter {
        let number: UInt64
        let continuation: CheckedContinuation<Void, any Error>
    }

    private var waiting: [Key: [Waiter]] = [:]
    private var lastNumber: UInt64 = 0

    /// Runs `body` when nobody else runs one for the key.
    ///
    /// - Parameters:
    ///   - key: the object.
    ///   - limit: how long is waited for the others.
    ///   - failure: what is thrown when they have not ended by then.
    ///   - body: runs alone for the key.
    /// - Returns: what `body` returns.
    /// - Throws: what `body` throws; `CancellationError` at once when cancelled while waiting.
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
            // Comes to the actor after the waiter has been appended, because nothing suspends before.
            Task { await self.giveUp(number, key, CancellationError()) }
        }
    }

    /// Takes a waiter out of the queue, if it is not its turn already.
    private func giveUp(_ number: UInt64, _ key: Key, _ error: any Error) {
        guard let index = waiting[key]?.firstIndex(where: { $0.number == number }) else { return }
        waiting[key]?.remove(at: index).continuation.resume(throwing: error)
    }

    /// Hands the key to the one that waits longest.
    private func release(_ key: Key) {
        guard let first = waiting[key]?.first else {
            waiting[key] = nil
            return
        }
        waiting[key]?.removeFirst()
        first.continuation.resume()
    }
}
