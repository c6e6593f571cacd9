// SPDX-License-Identifier: Apache-2.0

#if NFS
import LXCCore

/// A call that has no reply yet. Used by the connection's thread alone once it was taken over.
final class PendingCall: @unchecked Sendable {
    // @unchecked: made by one thread, handed over under the connection's lock, from then on its thread's alone.
    let call: NFSCall
    let cancellation: Cancellation?
    private let completion: @Sendable (NFSOutcome) -> Void
    /// The buffer of a READ.
    private(set) lazy var room = NFSReadRoom(for: call)
    /// Its place in the order of arrival.
    var serial: UInt64 = 0
    /// The number of times it was sent.
    var attempts = 0
    /// The times it was first and last sent.
    var firstSent: ContinuousClock.Instant?
    var lastSent: ContinuousClock.Instant?
    /// The caller no longer waits; the server may still answer.
    private(set) var isCompleted = false
    /// Kept alive until the reply, for the waiting caller.
    var loop: NFSLoop?

    init(_ call: NFSCall, _ cancellation: Cancellation?, _ completion: @escaping @Sendable (NFSOutcome) -> Void) {
        self.call = call
        self.cancellation = cancellation
        self.completion = completion
    }

    /// Passes the result to the caller; later results are dropped.
    func complete(_ result: Result<NFSReply, NFSFailure>) {
        guard !isCompleted else { return }
        isCompleted = true
        completion(NFSOutcome(result: result, wasRepeated: attempts > 1))
    }
}

/// Calls in the order in which they are sent.
struct CallQueue {
    private var calls: [PendingCall] = []
    private var start = 0

    /// The first, if there is one.
    var first: PendingCall? { start < calls.count ? calls[start] : nil }
    /// Whether the list is empty.
    var isEmpty: Bool { start == calls.count }
    /// All of them.
    var all: ArraySlice<PendingCall> { calls[start...] }

    mutating func append(_ new: some Collection<PendingCall>) { calls += new }

    /// Puts calls before all others.
    mutating func prepend(_ earlier: [PendingCall]) {
        calls.replaceSubrange(..<start, with: earlier)
        start = 0
    }

    mutating func removeFirst() {
        start += 1
        // Moving the rest up once in a while costs nothing beside a call.
        if start >= 512 || start == calls.count {
            calls.removeFirst(start)
            start = 0
        }
    }

    mutating func removeAll(where matches: (PendingCall) -> Bool) {
        calls.removeFirst(start)
        start = 0
        calls.removeAll(where: matches)
    }
}
#endif
