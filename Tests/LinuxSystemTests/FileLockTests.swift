// SPDX-License-Identifier: Apache-2.0

import Glibc
import LXCCore
import LinuxSystem
import TestSupport
import Testing

@Suite(.limited)
struct FileLockTests {
    private let directory: ScratchDirectory
    private var path: String { directory["lock"] }

    init() throws { directory = try ScratchDirectory() }

    @Test func oneHolderAtATime() async throws {
        let path = path
        let crowd = Crowd()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    try await FileLock.hold(path, pool: .shared) {
                        crowd.enter()
                        try await Task.sleep(for: .milliseconds(2))
                        crowd.leave()
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(crowd.most == 1)
        #expect(crowd.total == 8)
        #expect(directory.list().isEmpty)
    }

    @Test func whatStaysTakenIsNotWaitedForLongerThanThat() async throws {
        let path = path
        let error = try await FileLock.hold(path, pool: .shared) {
            await #expect(throws: LXCError.self) {
                try await FileLock.hold(path, patience: .milliseconds(100), pool: .shared) {}
            }
        }
        #expect(error?.code == .timedOut)
        #expect(error?.message.contains(path) == true)
        // It is free again, and nothing of the one that gave up is left.
        try await FileLock.hold(path, patience: .milliseconds(100), pool: .shared) {}
        #expect(directory.list().isEmpty)
    }

    @Test func tryHoldGivesUpAtOnce() async throws {
        let path = path
        let inner = try await FileLock.hold(path, pool: .shared) {
            try await FileLock.tryHold(path, pool: .shared) { true }
        }
        #expect(inner == nil)
        #expect(try await FileLock.tryHold(path, pool: .shared) { true } == true)
    }

    @Test func readersShareAndKeepTheWriterOut() async throws {
        let path = path
        try await FileLock.hold(path, .shared, pool: .shared) {
            let second = try await FileLock.tryHold(path, .shared, pool: .shared) {
                try await FileLock.tryHold(path, pool: .shared) { true } == nil
            }
            #expect(second == true)
            // The second reader's end must not take the lock away from the first.
            let writer = try await FileLock.tryHold(path, pool: .shared) { true }
            #expect(writer == nil)
        }
        #expect(directory.list().isEmpty)
        let reader = try await FileLock.hold(path, pool: .shared) {
            try await FileLock.tryHold(path, .shared, pool: .shared) { true }
        }
        #expect(reader == nil)
    }

    @Test func theLockIsLetGoWhenTheBodyThrows() async throws {
        await #expect(throws: LXCError.self) {
            try await FileLock.hold(path, pool: .shared) { throw LXCError(.io, "broken") }
        }
        #expect(directory.list().isEmpty)
        #expect(try await FileLock.tryHold(path, pool: .shared) { 1 } == 1)
    }

    @Test func theLockIsLetGoWhenTheTaskIsCancelled() async throws {
        let path = path
        let task = Task {
            try await FileLock.hold(path, pool: .shared) { try await Task.sleep(for: .seconds(60)) }
        }
        while !directory.exists("lock") { try await Task.sleep(for: .milliseconds(1)) }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(try await FileLock.tryHold(path, pool: .shared) { 1 } == 1)
    }

    @Test func aWaitingTaskCanBeCancelled() async throws {
        let path = path
        try await FileLock.hold(path, pool: .shared) {
            let waiting = Task { try await FileLock.hold(path, pool: .shared) {} }
            try await Task.sleep(for: .milliseconds(60))
            waiting.cancel()
            await #expect(throws: CancellationError.self) { try await waiting.value }
        }
    }

    @Test func aFileLeftByACrashLocksNobodyOut() async throws {
        try directory.write("", to: "lock")
        #expect(try await FileLock.tryHold(path, pool: .shared) { 1 } == 1)
        #expect(directory.list().isEmpty)
    }

    @Test func aMissingDirectoryIsAnError() async {
        await expect(.notFound) {
            try await FileLock.hold(directory["no/lock"], pool: .shared) {}
        }
    }

    @Test func aPlantedSymbolicLinkIsNotFollowed() async throws {
        #expect(symlink(directory["victim"], path) == 0)
        await #expect(throws: LXCError.self) { try await FileLock.hold(path, pool: .shared) {} }
        #expect(!directory.exists("victim"))
    }

    /// Those who share a lock, one coming before the other goes, keep nobody out for ever.
    @Test func anExclusiveWaiterIsNotStarved() async throws {
        let path = path
        try await withThrowingTaskGroup(of: Void.self) { group in
            for offset in 0..<3 {
                group.addTask {
                    try? await Task.sleep(for: .milliseconds(50 * offset))
                    while !Task.isCancelled {
                        try? await FileLock.hold(path, .shared, pool: .shared) {
                            try await Task.sleep(for: .milliseconds(150))
                        }
                    }
                }
            }
            while !directory.exists("lock") { try await Task.sleep(for: .milliseconds(1)) }
            try await FileLock.hold(path, pool: .shared) {}
            group.cancelAll()
        }
        #expect(directory.list().isEmpty)
    }

    @Test func aHolderSaysWhoItIs() async throws {
        let path = path
        let note = try await FileLock.tryHold(path, note: "a start by process 7", pool: .shared) {
            FileLock.note(of: path)
        }
        #expect(note == "a start by process 7")
        #expect(FileLock.note(of: path) == nil)
    }
}
