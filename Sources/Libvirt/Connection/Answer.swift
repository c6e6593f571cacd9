// SPDX-License-Identifier: Apache-2.0

import LXCCore
import Synchronization

/// The future result of a blocking call, for callers that need not wait for its end.
///
/// A call into libvirt cannot be interrupted: a daemon that hangs holds it for as long as it hangs. So the call is made on
/// a thread that may be left behind, and its callers wait here, where their time can be over and their tasks cancelled.
final class Answer<Value: Sendable>: Sendable {
    private enum Phase {
        /// Queued; whether it is still wanted is decided when its turn comes.
        case waiting
        case begun
        case given(Result<Value, any Error>)
    }

    private struct State {
        var phase = Phase.waiting
        var next = 0
        var callers: [Int: CheckedContinuation<Value, any Error>] = [:]
        /// Callers that left before they waited.
        var gone: [Int: any Error] = [:]
        var isUnwanted = false
    }

    private let state = Mutex(State())

    /// Marks the work as started.
    ///
    /// - Returns: `false` if nothing waits for it any more: then it must not be done.
    func begin() -> Bool {
        state.withLock { state in
            if state.isUnwanted { return false }
            state.phase = .begun
            return true
        }
    }

    /// Passes the result to all waiting callers.
    func give(_ result: Result<Value, any Error>) {
        let callers = state.withLock { state in
            state.phase = .given(result)
            defer { state.callers = [:] }
            return Array(state.callers.values)
        }
        for caller in callers { caller.resume(with: result) }
    }

    /// Waits for the answer.
    ///
    /// - Parameters:
    ///   - limit: the time limit.
    ///   - grace: the time a cancelled caller still waits once the work has started.
    ///   - late: the error when the time is over.
    /// - Returns: the answer.
    /// - Throws: the answer's error, `late`'s when the time is over, `CancellationError`.
    func value(
        within limit: Duration, afterCancellation grace: Duration, late: @escaping @Sendable () -> LXCError
    ) async throws -> Value {
        let caller = state.withLock { state in
            state.next += 1
            return state.next
        }
        let timer = leaving(caller, after: limit) { late() }
        defer { timer.cancel() }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { wait(as: caller, $0) }
        } onCancel: {
            if !leave(caller, throwing: CancellationError(), evenIfBegun: grace == .zero) {
                _ = leaving(caller, after: grace) { CancellationError() }
            }
        }
    }

    private func leaving(
        _ caller: Int, after time: Duration, throwing error: @escaping @Sendable () -> any Error
    ) -> Task<Void, Never> {
        Task.detached {
            guard (try? await Task.sleep(for: time)) != nil else { return }
            _ = self.leave(caller, throwing: error(), evenIfBegun: true)
        }
    }

    private func wait(as caller: Int, _ continuation: CheckedContinuation<Value, any Error>) {
        let result: Result<Value, any Error>? = state.withLock { state in
            if let error = state.gone.removeValue(forKey: caller) { return .failure(error) }
            if case .given(let result) = state.phase { return result }
            state.callers[caller] = continuation
            return nil
        }
        if let result { continuation.resume(with: result) }
    }

    /// Lets a caller leave; returns `false` if it has to stay because the work has started.
    private func leave(_ caller: Int, throwing error: any Error, evenIfBegun: Bool) -> Bool {
        let (leaves, continuation) = state.withLock { state -> (Bool, CheckedContinuation<Value, any Error>?) in
            switch state.phase {
            case .given: return (true, nil)
            case .begun where !evenIfBegun: return (false, nil)
            case .begun, .waiting: break
            }
            let continuation = state.callers.removeValue(forKey: caller)
            if continuation == nil { state.gone[caller] = error }
            if case .waiting = state.phase, state.callers.isEmpty { state.isUnwanted = true }
            return (true, continuation)
        }
        continuation?.resume(throwing: error)
        return leaves
    }
}
