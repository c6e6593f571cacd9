// SPDX-License-Identifier: Apache-2.0

import LXCCore
import Synchronization

/// The end of a connection, for everything that ends with it.
///
/// libvirt reports it on its event loop's thread, where nothing may block.
final class ConnectionEnd: Sendable {
    private struct State {
        var reason: LXCError?
        var next = 0
        var actions: [Int: @Sendable (LXCError) -> Void] = [:]
    }

    private let state = Mutex(State())

    /// Whether the connection has ended.
    var hasCome: Bool { state.withLock { $0.reason != nil } }

    /// Calls `action` when the connection ends, immediately if it has; returns the argument for ``forget(_:)``.
    func notify(_ action: @escaping @Sendable (LXCError) -> Void) -> Int {
        let (id, reason) = state.withLock { state in
            state.next += 1
            if state.reason == nil { state.actions[state.next] = action }
            return (state.next, state.reason)
        }
        if let reason { action(reason) }
        return id
    }

    /// Drops an action.
    func forget(_ id: Int) {
        _ = state.withLock { $0.actions.removeValue(forKey: id) }
    }

    /// Records the end and calls every action; only the first call does anything.
    func come(_ reason: LXCError) {
        let actions = state.withLock { state -> [@Sendable (LXCError) -> Void] in
            guard state.reason == nil else { return [] }
            state.reason = reason
            defer { state.actions = [:] }
            return Array(state.actions.values)
        }
        for action in actions { action(reason) }
    }
}
