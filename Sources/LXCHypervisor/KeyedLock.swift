/// Lets one operation at a time work on an object, and operations on different objects side by side.
actor KeyedLock<Key: Hashable & Sendable> {
    private var waiting: [Key: [CheckedContinuation<Void, Never>]] = [:]

    /// Runs `body` when nobody else runs one for the key.
    nonisolated func hold<Value>(_ key: Key, _ body: () async throws -> Value) async throws -> Value {
        await acquire(key)
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

    private func acquire(_ key: Key) async {
        guard waiting[key] != nil else {
            waiting[key] = []
            return
        }
        await withCheckedContinuation { waiting[key, default: []].append($0) }
    }

    /// Hands the key to the one that waits longest.
    private func release(_ key: Key) {
        guard let first = waiting[key]?.first else {
            waiting[key] = nil
            return
        }
        waiting[key]?.removeFirst()
        first.resume()
    }
}
