// SPDX-License-Identifier: Apache-2.0

import LXCCore
import TestSupport
import Testing

@Suite(.limited)
struct BoundedQueueTests {
    @Test func elementsArriveInOrderAndNeverTooManyAtOnce() throws {
        let queue = BoundedQueue<Int>(capacity: 3)
        let crowd = Crowd()
        let giver = Worker("giver") {
            for number in 0..<1_000 {
                guard queue.push(number) else { return }
                crowd.enter()
            }
            queue.finish()
        }
        for number in 0..<1_000 {
            #expect(queue.pop() == number)
            crowd.leave()
        }
        #expect(queue.pop() == nil)
        giver.join()
        // The giver counts after it gave, the taker after it took.
        #expect(crowd.most <= 4)
    }

    @Test func giverThatWaitsIsLetGoWhenTheQueueOrItsWorkIsCancelled() throws {
        for cancelsQueue in [true, false] {
            let queue = BoundedQueue<Int>(capacity: 1)
            let cancellation = Cancellation()
            #expect(try queue.push(1, cancellation: cancellation))
            let helper = Worker("canceller") { if cancelsQueue { queue.cancel() } else { cancellation.cancel() } }
            if cancelsQueue {
                #expect(try !queue.push(2, cancellation: cancellation))
            } else {
                #expect(throws: CancellationError.self) { try queue.push(2, cancellation: cancellation) }
                // Room is enough for those who need not wait.
                #expect(queue.pop() == 1)
                #expect(try queue.push(3, cancellation: cancellation))
            }
            helper.join()
        }
    }

    @Test func waitForAThreadEndsWithItOrWhenItIsCancelled() throws {
        let queue = BoundedQueue<Int>(capacity: 1)
        let cancellation = Cancellation()
        let worker = Worker("waiting") { _ = queue.pop() }
        cancellation.cancel()
        #expect(throws: CancellationError.self) { try worker.join(cancellation: cancellation) }
        queue.finish()
        worker.join()
        try Worker("short") {}.join(cancellation: Cancellation())
    }
}
