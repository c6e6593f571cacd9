// SPDX-License-Identifier: Apache-2.0

import LXCCore
import Logging

/// A stream of events that outlives its source: after a loss it subscribes again, and reports the missed events.
struct GuestEventRelay: Sendable {
    typealias Reports = AsyncThrowingStream<GuestEventLedger.Report, any Error>

    /// The maximum number of events that wait for a slow reader.
    static let backlog = 4096

    /// Begins to listen; fails while the hypervisor cannot be reached.
    let subscribe: @Sendable () async throws -> Reports
    /// The guests there are.
    let list: @Sendable () async throws -> [Guest]
    let logger: Logger

    /// Listens from now on.
    ///
    /// - Throws: the error of the first subscription.
    func events() async throws -> AsyncThrowingStream<GuestEvent, any Error> {
        let (reports, guests) = try await begin()
        let (stream, continuation) = AsyncThrowingStream<GuestEvent, any Error>.makeStream(
            bufferingPolicy: .bufferingOldest(Self.backlog))
        let task = Task {
            do {
                try await relay(reports, GuestEventLedger(guests), to: continuation)
            } catch {
                continuation.finish(throwing: (error as? Lagging)?.error ?? error)
            }
        }
        continuation.onTermination = { _ in task.cancel() }
        return stream
    }

    /// Listening begins before looking, so that nothing falls between the two.
    private func begin() async throws -> (Reports, [Guest]) { (try await subscribe(), try await list()) }

    private func relay(
        _ first: Reports, _ start: GuestEventLedger, to reader: AsyncThrowingStream<GuestEvent, any Error>.Continuation
    ) async throws {
        var (reports, ledger) = (first, start)
        while true {
            do {
                for try await report in reports {
                    if let run = ledger.doubtfulRun(report), try await isRunning(report.event.guest, as: run) {
                        continue
                    }
                    try tell(ledger.take(report), to: reader)
                }
                try Task.checkCancellation()
            } catch let error as LXCError {
                // After any loss: the missed events are reported when the hypervisor answers again.
                logger.info(
                    "lost contact with the hypervisor; events resume when it answers", metadata: ["error": "\(error)"])
            }
            let guests: [Guest]
            (reports, guests) = try await beginAgain()
            try tell(ledger.resynchronize(guests), to: reader)
        }
    }

    private func isRunning(_ guest: GuestName, as run: Int32) async throws -> Bool {
        try await list().contains { $0.name == guest && $0.id == run }
    }

    /// Tries until the hypervisor can be reached again.
    private func beginAgain() async throws -> (Reports, [Guest]) {
        var delay = Duration.milliseconds(50)
        while true {
            do {
                return try await begin()
            } catch let error as LXCError where error.code != .invalidState {
                // Closed for good is `invalidState`; everything else can pass.
                logger.debug("the hypervisor still does not answer", metadata: ["error": "\(error)"])
            }
            try await Task.sleep(for: delay)
            delay = min(delay * 2, .seconds(2))
        }
    }

    /// Says that the reader, not the hypervisor, is the reason.
    private struct Lagging: Error { let error: LXCError }

    private func tell(
        _ events: [GuestEvent], to reader: AsyncThrowingStream<GuestEvent, any Error>.Continuation
    ) throws {
        for event in events {
            guard case .dropped = reader.yield(event) else { continue }
            throw Lagging(
                error: LXCError(
                    .limitExceeded,
                    "the reader of the guests' events is \(Self.backlog) events behind; list the guests and listen again"
                ))
        }
    }
}
