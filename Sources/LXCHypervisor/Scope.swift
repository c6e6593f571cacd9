// SPDX-License-Identifier: Apache-2.0

import LXCCore

/// Runs `body`, then `cleanUp`, regardless of the outcome of `body`. The clean-up runs in its own task so that it
/// completes even if the caller is cancelled.
func scoped<Value>(
    _ body: () async throws -> Value, finally cleanUp: @escaping @Sendable () async -> Void
) async throws -> Value {
    let result: Result<Value, any Error>
    do { result = .success(try await body()) } catch { result = .failure(error) }
    await withoutCancellation { await cleanUp() }
    return try result.get()
}
