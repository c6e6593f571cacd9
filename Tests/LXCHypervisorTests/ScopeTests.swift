// SPDX-License-Identifier: Apache-2.0

import Synchronization
import TestSupport
import Testing

@testable import LXCHypervisor

/// Scopes clean up however they are left.
@Suite(.limited) struct ScopeTests {
    private final class Log: Sendable {
        private let lines = Mutex<[String]>([])
        var all: [String] { lines.withLock { $0 } }
        func add(_ line: String) { lines.withLock { $0.append(line) } }
    }

    private let log = Log()

    private func cleanUp() async {
        log.add(Task.isCancelled ? "cancelled" : "cleaned up")
    }

    @Test func aScopeThatIsLeftCleansUp() async throws {
        #expect(try await scoped({ 7 }, finally: cleanUp) == 7)
        await #expect(throws: CancellationError.self) {
            try await scoped({ throw CancellationError() }, finally: cleanUp)
        }
        #expect(log.all == ["cleaned up", "cleaned up"])
    }

    @Test func aCancelledScopeCleansUpWhole() async throws {
        let task = Task {
            try await scoped({ try await Task.sleep(for: .seconds(600)) }, finally: cleanUp)
        }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(log.all == ["cleaned up"], "the clean-up is not cancelled")
    }
}
