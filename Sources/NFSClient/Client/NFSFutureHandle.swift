// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// The handle of something that is being made; what needs it waits until the server has told it.
final class NFSFutureHandle: Sendable {
    private struct State {
        var handle: NFSHandle?
        var waiting: [@Sendable (NFSHandle) -> Void] = []
    }

    private let state: Mutex<State>

    /// Creates a future handle, which may be known already.
    init(_ handle: NFSHandle? = nil) { state = Mutex(State(handle: handle)) }

    /// The handle, once there is one.
    var handle: NFSHandle? { state.withLock { $0.handle } }

    /// Calls `body` with the handle, now or later.
    func whenMade(_ body: @escaping @Sendable (NFSHandle) -> Void) {
        let handle = state.withLock { state -> NFSHandle? in
            if state.handle == nil { state.waiting.append(body) }
            return state.handle
        }
        if let handle { body(handle) }
    }

    /// Says that it is there.
    func made(_ handle: NFSHandle) {
        let waiting = state.withLock { state in
            state.handle = handle
            defer { state.waiting = [] }
            return state.waiting
        }
        for body in waiting { body(handle) }
    }
}
