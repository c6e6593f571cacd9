// SPDX-License-Identifier: Apache-2.0

import LXCCore
import Libvirt

extension LibvirtDriver {
    /// Reports libvirt's lifecycle events, each change once, also after a loss of the daemon: then the list of the
    /// guests is compared with the events reported. The stream ends with `limitExceeded` when its reader is 4096 events
    /// behind, and with `invalidState` when the driver is closed.
    public func events() async throws -> AsyncThrowingStream<GuestEvent, any Error> {
        let relay = GuestEventRelay(subscribe: { try await reports() }, list: { try await guests() }, logger: logger)
        return try await relay.events()
    }

    private func reports() async throws -> GuestEventRelay.Reports {
        let events = try await connection.lifecycleEvents()
        let (stream, continuation) = GuestEventRelay.Reports.makeStream()
        let task = Task {
            do {
                for try await event in events {
                    if let report = GuestEventLedger.Report(event) { continuation.yield(report) }
                }
                continuation.finish()
            } catch {
                continuation.finish(throwing: error)
            }
        }
        continuation.onTermination = { _ in task.cancel() }
        return stream
    }
}
