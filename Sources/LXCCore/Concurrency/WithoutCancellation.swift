// SPDX-License-Identifier: Apache-2.0

/// Runs `body` to its end although the calling task is cancelled: clean-up must complete in a cancelled task, too.
///
/// - Returns: what `body` returned.
/// - Throws: what `body` throws.
@discardableResult
package func withoutCancellation<Value: Sendable, Failure: Error>(
    _ body: @escaping @Sendable () async throws(Failure) -> Value
) async throws(Failure) -> Value {
    // A task of its own does not inherit the caller's cancellation.
    let task = Task { () async -> Result<Value, Failure> in
        do throws(Failure) { return .success(try await body()) } catch { return .failure(error) }
    }
    return try await task.value.get()
}
