// SPDX-License-Identifier: Apache-2.0

/// Runs `body`, and cancels it when the time runs out first.
///
/// - Returns: what `body` returned; `nil` when the time ran out.
/// - Throws: what `body` throws.
package func within<Value: Sendable>(
    _ time: Duration, _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value? {
    try await withThrowingTaskGroup(of: Value?.self) { group in
        group.addTask { try await body() }
        group.addTask {
            try await Task.sleep(for: time)
            return nil
        }
        defer { group.cancelAll() }
        return try await group.next() ?? nil
    }
}
