// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// The counters of a client since it connected.
public struct NFSCounters: Hashable, Sendable {
    /// Calls the server answered.
    public var answers = 0
    /// Calls that were sent again, over another connection.
    public var repetitions = 0
    /// Connections that were made.
    public var connections = 0
    /// Bytes that were written again, because the server may have lost them: it was restarted before it had them on disk.
    public var rewrittenBytes = 0
}

/// Counters that several threads change.
final class NFSCounting: Sendable {
    private let state = Mutex(NFSCounters())

    /// The counts so far.
    var counters: NFSCounters { state.withLock { $0 } }

    /// Changes some of them.
    func count(_ change: (inout NFSCounters) -> Void) { state.withLock { change(&$0) } }
}
