// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Synchronization

/// A thread that does something over and over.
final class Changer: Sendable {
    private struct State {
        var isStopping = false
        var hasStopped = false
        var rounds = 0
    }

    private let state = Mutex(State())

    /// Starts; `make` makes what is done, on the thread it is done by.
    init(_ make: @escaping @Sendable () -> () -> Void) {
        Thread.detachNewThread { [self] in
            let change = make()
            while state.withLock({ !$0.isStopping }) {
                change()
                state.withLock { $0.rounds += 1 }
            }
            state.withLock { $0.hasStopped = true }
        }
    }

    /// How often it was done.
    var rounds: Int { state.withLock { $0.rounds } }

    /// Ends it and waits until it has ended.
    func stop() {
        state.withLock { $0.isStopping = true }
        while state.withLock({ !$0.hasStopped }) { usleep(1_000) }
    }
}

/// Writes a small file anew; that it cannot while another change is under way is part of the game.
func write(_ text: String, to path: String) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { return }
    _ = text.utf8.withContiguousStorageIfAvailable { Glibc.write(descriptor, $0.baseAddress, $0.count) }
    close(descriptor)
}
