// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import LXCCore
import LinuxSystem
import Synchronization

/// One thread that waits until descriptors can be read or written.
///
/// libdispatch's sources would do, but where they come and go as fast as commands do they fail on Linux.
final class ReadinessLoop: Sendable {
    /// The direction to wait for.
    enum Direction {
        case read
        case write

        fileprivate var events: Int16 { Int16(self == .read ? POLLIN : POLLOUT) }
    }

    /// The loop of this process; its thread begins with the first wait.
    static let shared = Result { try ReadinessLoop() }

    private struct Waiting {
        let descriptor: CInt
        let direction: Direction
        let continuation: CheckedContinuation<Void, Never>
    }

    private struct State {
        var next: UInt64 = 0
        var waiting: [UInt64: Waiting] = [:]
        var givenUp: Set<UInt64> = []
    }

    private let state = Mutex(State())
    private let wake: CInt

    private init() throws {
        wake = clinux_make_wake_descriptor()
        guard wake >= 0 else { throw LXCError.lastSystemCall("eventfd", "wait for commands") }
        SystemThread.detach("lxc-commands") { [self] in while true { serve() } }
    }

    /// A number for a wait.
    func ticket() -> UInt64 {
        state.withLock { state in
            state.next += 1
            return state.next
        }
    }

    /// Returns when the descriptor is ready or its other end is gone, the wait was given up, or the task is cancelled.
    /// The descriptor has to stay open during the wait.
    func wait(for direction: Direction, of descriptor: CInt, as ticket: UInt64) async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isGivenUp = state.withLock { state in
                    if state.givenUp.remove(ticket) != nil { return true }
                    state.waiting[ticket] = Waiting(
                        descriptor: descriptor, direction: direction, continuation: continuation)
                    return false
                }
                if isGivenUp { continuation.resume() } else { signal() }
            }
        } onCancel: {
            giveUp(ticket)
        }
        state.withLock { state in _ = state.givenUp.remove(ticket) }
    }

    /// Ends a wait, even before it has started.
    func giveUp(_ ticket: UInt64) {
        let waiting = state.withLock { state in
            let waiting = state.waiting.removeValue(forKey: ticket)
            if waiting == nil { state.givenUp.insert(ticket) }
            return waiting
        }
        waiting?.continuation.resume()
    }

    private func signal() {
        var one: UInt64 = 1
        _ = write(wake, &one, MemoryLayout.size(ofValue: one))
    }

    /// Waits once for all of them.
    private func serve() {
        let waiting = state.withLock { Array($0.waiting) }
        var descriptors = [pollfd(fd: wake, events: Int16(POLLIN), revents: 0)]
        descriptors += waiting.map { pollfd(fd: $0.value.descriptor, events: $0.value.direction.events, revents: 0) }
        guard poll(&descriptors, nfds_t(descriptors.count), -1) > 0 else { return }
        if descriptors[0].revents != 0 {
            var count: UInt64 = 0
            _ = read(wake, &count, MemoryLayout.size(ofValue: count))
        }
        for (descriptor, entry) in zip(descriptors.dropFirst(), waiting) where descriptor.revents != 0 {
            state.withLock { $0.waiting.removeValue(forKey: entry.key) }?.continuation.resume()
        }
    }
}
