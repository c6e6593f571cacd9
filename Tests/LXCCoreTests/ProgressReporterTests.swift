// SPDX-License-Identifier: Apache-2.0

import LXCCore
import Synchronization
import TestSupport
import Testing

@Suite(.limited)
struct ProgressReporterTests {
    private final class Reports: Sendable {
        private let list = Mutex<[TransferProgress]>([])
        var all: [TransferProgress] { list.withLock { $0 } }
        func add(_ progress: TransferProgress) { list.withLock { $0.append(progress) } }
    }

    @Test func reportsAtMostTenTimesASecond() {
        let reports = Reports()
        let clock = ContinuousClock()
        let start = clock.now
        var reporter = ProgressReporter { reports.add($0) }
        var bytes: UInt64 = 0
        while clock.now - start < .milliseconds(450) {
            bytes += 1 << 20
            reporter.report(TransferProgress(entries: 1, transferred: ByteCount(bytes)))
        }
        let tenths = Int((clock.now - start) / .milliseconds(100))
        #expect((1...tenths).contains(reports.all.count))
        #expect(reports.all.map(\.transferred) == reports.all.map(\.transferred).sorted())
    }

    @Test func theEndIsAlwaysReported() {
        let reports = Reports()
        let reporter = ProgressReporter { reports.add($0) }
        reporter.finish(TransferProgress(entries: 3, transferred: ByteCount(7), total: ByteCount(7)))
        #expect(reports.all == [TransferProgress(entries: 3, transferred: ByteCount(7), total: ByteCount(7))])
    }

    @Test func manySmallEntriesAreReportedToo() {
        let reports = Reports()
        let clock = ContinuousClock()
        let start = clock.now
        var reporter = ProgressReporter { reports.add($0) }
        var entries: UInt64 = 0
        while clock.now - start < .milliseconds(250) {
            entries += 1
            reporter.report(TransferProgress(entries: entries))
        }
        #expect(!reports.all.isEmpty)
    }

    @Test func withoutAHandlerNothingIsEvaluated() {
        var reporter = ProgressReporter(nil)
        var evaluated = false
        reporter.report(
            {
                evaluated = true
                return TransferProgress()
            }())
        #expect(!evaluated)
    }
}

@Suite(.limited)
struct CancellationTests {
    @Test func staysCancelled() throws {
        let cancellation = Cancellation()
        try cancellation.check()
        #expect(!cancellation.isCancelled)
        cancellation.cancel()
        cancellation.cancel()
        #expect(cancellation.isCancelled)
        #expect(throws: CancellationError.self) { try cancellation.check() }
    }
}
