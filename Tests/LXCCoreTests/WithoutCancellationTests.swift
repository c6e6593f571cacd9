// SPDX-License-Identifier: Apache-2.0

import LXCCore
import Testing

@Suite struct WithoutCancellationTests {
    @Test func theBodyOfACancelledTaskIsNotCancelled() async {
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return await withoutCancellation { Task.isCancelled }
        }
        #expect(await task.value == false)
    }

    @Test func errorsComeBack() async {
        await #expect(throws: LXCError.self) {
            try await withoutCancellation { throw LXCError(.io, "failed") }
        }
    }
}
