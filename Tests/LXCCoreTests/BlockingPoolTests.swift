// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCCore
import TestSupport
import Testing

@Suite(.limited)
struct BlockingPoolTests {
    /// Blocks threads until it is opened.
    private final class Gate: Sendable {
        private let semaphore = DispatchSemaphore(value: 0)
        func pass() { semaphore.wait() }
        func open(for count: Int) { for _ in 0..<count { semaphore.signal() } }
    }

    @Test func returnsAndThrowsWhatTheBodyDoes() async throws {
        let pool = BlockingPool(threads: 2)
        #expect(try await pool.run { _ in 42 } == 42)
        let error = await #expect(throws: LXCError.self) {
            try await pool.run { _ in throw LXCError(.io, "broken") }
        }
        #expect(error?.message == "broken")
    }

    @Test(arguments: [1, 3])
    func asManyRunAtOnceAsThereAreThreads(_ threads: Int) async throws {
        let pool = BlockingPool(threads: threads)
        let crowd = Crowd()
        let gate = Gate()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<12 {
                group.addTask {
                    try await pool.run { _ in
                        crowd.enter()
                        gate.pass()
                        crowd.leave()
                    }
                }
            }
            // All threads are taken at once: with fewer this would wait for ever, and the time limit would speak.
            while crowd.now < threads { try await Task.sleep(for: .milliseconds(1)) }
            gate.open(for: 12)
            try await group.waitForAll()
        }
        #expect(crowd.most == threads)
        #expect(crowd.now == 0)
    }

    @Test func blockedThreadsDoNotStopOtherTasks() async throws {
        let pool = BlockingPool(threads: 16)
        let gate = Gate()
        async let blocked: Void = withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<16 { group.addTask { try await pool.run { _ in gate.pass() } } }
            try await group.waitForAll()
        }
        // The gate opens only because other tasks still run while sixteen threads are blocked.
        let answers = await withTaskGroup(of: Int.self) { group in
            for number in 0..<100 {
                group.addTask {
                    await Task.yield()
                    return number
                }
            }
            return await group.reduce(0, +)
        }
        gate.open(for: 16)
        try await blocked
        #expect(answers == 4950)
    }

    @Test func cancellationIsSeenInside() async throws {
        let pool = BlockingPool(threads: 1)
        let started = Gate()
        let task = Task {
            try await pool.run { cancellation in
                #expect(!cancellation.isCancelled)
                started.open(for: 1)
                while true {
                    try cancellation.check()
                    usleep(1000)
                }
            }
        }
        await Task.detached { await Self.wait(for: started) }.value
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }

    @Test func aTaskCancelledBeforehandStillRunsTheBody() async throws {
        let pool = BlockingPool(threads: 1)
        let task = Task {
            try? await Task.sleep(for: .seconds(60))
            return try await pool.run { $0.isCancelled }
        }
        task.cancel()
        #expect(try await task.value)
    }

    @Test func threadsEndWithThePool() async throws {
        final class Marker: Sendable {}
        weak var marker: Marker?
        do {
            let pool = BlockingPool(threads: 4)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<4 { group.addTask { try await pool.run { _ in _ = usleep(10_000) } } }
                try await group.waitForAll()
            }
            marker = try await pool.run { _ in
                // A thread keeps its dictionary for as long as it lives.
                let marker = Marker()
                Thread.current.threadDictionary["marker"] = marker
                return marker
            }
        }
        while marker != nil { try await Task.sleep(for: .milliseconds(1)) }
    }

    @Test func workGivenBeforeThePoolEndsIsDone() async throws {
        let task = Task {
            let pool = BlockingPool(threads: 1)
            return try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<100 { group.addTask { try await pool.run { _ in number } } }
                return try await group.reduce(0, +)
            }
        }
        #expect(try await task.value == 4950)
    }

    private static func wait(for gate: Gate) async {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                gate.pass()
                continuation.resume()
            }
        }
    }
}
