// SPDX-License-Identifier: Apache-2.0

import HostAgentPlan
import LXCHypervisor
import Testing

/// When the agent tries again.
@Suite struct RetriesTests {
    private let start = ContinuousClock.now
    private let key: Retries.Key

    init() throws { key = Retries.Key(try GuestName("web1"), .start) }

    @Test func theWaitsGrowUpToTheLongest() {
        var retries = Retries(initial: .seconds(1), maximum: .seconds(5))
        #expect(retries.isDue(key, at: start))
        #expect((0..<5).map { _ in retries.attempt(key, at: start) } == [1, 2, 4, 5, 5].map { .seconds($0) })
        #expect(!retries.isDue(key, at: start + .seconds(4)))
        #expect(retries.isDue(key, at: start + .seconds(5)))
    }

    @Test func otherStepsAndContainersDoNotWait() throws {
        var retries = Retries()
        _ = retries.attempt(key, at: start)
        #expect(retries.isDue(.init(key.container, .limit), at: start))
        #expect(try retries.isDue(.init(GuestName("web2"), .start), at: start))
    }

    @Test func whatEndsAgainAtOnceIsNotForgotten() {
        var retries = Retries(initial: .seconds(1), maximum: .seconds(10))
        _ = retries.attempt(key, at: start)
        retries.forget(unless: [], at: start + .seconds(10))
        #expect(retries.attempt(key, at: start + .seconds(10)) == .seconds(2), "it ran for ten seconds at most")
        retries.forget(unless: [key], at: start + .seconds(60))
        #expect(retries.attempt(key, at: start + .seconds(60)) == .seconds(4), "it was needed all the time")
        retries.forget(unless: [], at: start + .seconds(71))
        #expect(retries.attempt(key, at: start + .seconds(71)) == .seconds(1))
        retries.forgetAll()
        #expect(retries.isDue(key, at: start + .seconds(71)))
    }
}
