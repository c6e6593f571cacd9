// SPDX-License-Identifier: Apache-2.0

import LXCCore

/// Runs `body`, then `cleanUp`, whatever `body` did. The clean-up is a task of its own, so that it completes when the caller
/// is cancelled.
func scoped<Value>(
    _ body: () async throws -> Value, finally cleanUp: @escaping @Sendable () async -> Void
) async throws -> Value {
    let result: Result<Value, any Error>
    do { result = .success(try await body()) } catch { result = .failure(error) }
    await withoutCancellation { await cleanUp() }
    return try result.get()
}
