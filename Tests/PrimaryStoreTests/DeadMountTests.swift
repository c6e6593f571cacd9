// SPDX-License-Identifier: Apache-2.0

import Dispatch
import LXCCore
import Synchronization
import TestSupport
import Testing

@testable import PrimaryStore

/// Mounts whose server does not answer.
@Suite(.timeLimit(.minutes(2)))
struct DeadMountTests {
    @Test func aMountThatHangsIsAskedOnce() async throws {
        let calls = Mutex(0)
        let answer = DispatchSemaphore(value: 0)
        let ask: @Sendable () async throws -> Void = {
            try await TimeLimited.run(.milliseconds(50), "the mount at /test/dead") {
                calls.withLock { $0 += 1 }
                answer.wait()
                answer.signal()
            }
        }
        for _ in 0..<5 { await expect(.unavailable) { try await ask() } }
        #expect(calls.withLock { $0 } == 1, "each further thread would wait as the first does")
        // When it answers again, it is asked again.
        answer.signal()
        while await codeThrown(by: { try await ask() }) != nil { try await Task.sleep(for: .milliseconds(5)) }
        #expect(calls.withLock { $0 } == 2)
    }
}
