// SPDX-License-Identifier: Apache-2.0

import LXCCore

extension LibvirtConnection {
    /// The lifecycle events of the connection's domains, in order, from now on.
    ///
    /// Every call makes a stream of its own, which already receives when this returns. The stream ends with
    /// `LXCError` `unavailable` when the connection is lost or closed, and `limitExceeded` when its reader is
    /// 4096 events behind: in both cases list the domains again, and ask for a new stream.
    ///
    /// - Throws: `LXCError` `unavailable`, `invalidState` after ``close()``.
    public func lifecycleEvents() async throws -> AsyncThrowingStream<DomainEvent, any Error> {
        try await perform { (handle: ConnectionHandle) in try handle.lifecycle.subscribe(on: handle) }
    }
}
