// SPDX-License-Identifier: Apache-2.0

import HypervisorDriver
import LXCCore
import Synchronization

/// A console of ``InMemoryHypervisorDriver``.
final class InMemoryConsole: GuestConsole {
    let output: any AsyncSequence<[UInt8], any Error> & Sendable

    private struct State {
        var typed: [UInt8] = []
        var isOpen = true
    }

    private let continuation: AsyncThrowingStream<[UInt8], any Error>.Continuation
    private let state = Mutex(State())

    init() {
        let (stream, continuation) = AsyncThrowingStream<[UInt8], any Error>.makeStream()
        output = stream
        self.continuation = continuation
    }

    /// The input written to the guest so far.
    var typed: [UInt8] { state.withLock { $0.typed } }

    func emit(_ bytes: [UInt8]) { continuation.yield(bytes) }

    func end() {
        state.withLock { $0.isOpen = false }
        continuation.finish()
    }

    func write(_ bytes: [UInt8]) async throws {
        try state.withLock { state in
            guard state.isOpen else { throw LXCError(.invalidState, "the console was closed, or its guest ended") }
            state.typed += bytes
        }
    }

    func close() async { end() }
}
