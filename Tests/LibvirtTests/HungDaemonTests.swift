// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import LXCCore
import Logging
import Synchronization
import TestSupport
import Testing

@testable import Libvirt

/// A daemon that is there and answers nothing, as one that was stopped by SIGSTOP: the kernel connects its clients.
private final class SilentDaemon: Sendable {
    let uri: String
    private let scratch: ScratchDirectory
    private let listener: CInt

    init() throws {
        scratch = try ScratchDirectory()
        let path = scratch["silent"]
        uri = "lxc:///system?socket=\(path)"
        listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(result == 0 && listen(listener, 64) == 0)
    }

    /// Takes the clients that wait, and lets them go: their calls end then.
    func dismissClients() -> Int {
        var count = 0
        var waiting = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
        while poll(&waiting, 1, 0) > 0 {
            let client = accept(listener, nil, nil)
            if client >= 0 { close(client) }
            count += 1
        }
        return count
    }

    deinit { close(listener) }
}

/// No call waits for a daemon without an end, and none can hold its caller.
@Suite(.limited) struct HungDaemonTests {
    private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    @Test func aDaemonThatDoesNotAnswerIsNamedInTime() async throws {
        let daemon = try SilentDaemon()
        let connection = LibvirtConnection(
            uri: daemon.uri, patience: .init(opening: .milliseconds(300)), logger: logger)
        for _ in 0..<3 {
            let error = await expect(.timedOut) { _ = try await connection.domains() }
            #expect(error?.message.contains(daemon.uri) == true)
        }
        await connection.close()
        #expect(daemon.dismissClients() == 1, "no further thread hangs for each further call")
    }

    @Test func aCancelledTaskLeavesAtOnce() async throws {
        let daemon = try SilentDaemon()
        let connection = LibvirtConnection(uri: daemon.uri, logger: logger)
        for call in [
            { _ = try await connection.domains() }, { try await connection.start("a") },
        ] as [@Sendable () async throws -> Void] {
            let start = ContinuousClock.now
            let task = Task { try await call() }
            try await Task.sleep(for: .milliseconds(50))
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(ContinuousClock.now - start < .seconds(10))
        }
        await connection.close()
        _ = daemon.dismissClients()
        await expect(.invalidState) { _ = try await connection.domains() }
    }

    @Test func itIsUsedAgainOnceItAnswers() async throws {
        let daemon = try SilentDaemon()
        let host = try TestHost()
        let starts = Mutex(0)
        // Stands for a daemon whose start is asked for: the address leads to nobody until then.
        let connection = LibvirtConnection(
            uri: daemon.uri, patience: .init(opening: .milliseconds(300)),
            startDaemon: { starts.withLock { $0 += 1 } }, logger: logger)
        await expect(.timedOut) { try await connection.open() }
        #expect(starts.withLock { $0 } == 0, "a daemon that hangs is there: no second one is started beside it")
        _ = daemon.dismissClients()
        await expect(.unavailable) {
            while true {
                do { try await connection.open() } catch let error as LXCError where error.code == .timedOut {
                    _ = daemon.dismissClients()
                }
            }
        }
        #expect(starts.withLock { $0 } > 0)
        await connection.close()
        let other = try await host.connect()
        #expect(try await other.domains().isEmpty, "other connections of the program go on")
        await other.close()
    }

    @Test func whatNobodyWaitsForIsNotDoneLater() async throws {
        let answer = Answer<Int>()
        await expect(.timedOut) {
            try await answer.value(within: .milliseconds(10), afterCancellation: .zero) { LXCError(.timedOut, "late") }
        }
        #expect(!answer.begin())

        let begun = Answer<Int>()
        #expect(begun.begin())
        let task = Task {
            try await begun.value(within: .seconds(60), afterCancellation: .seconds(60)) { LXCError(.timedOut, "late") }
        }
        task.cancel()
        try await Task.sleep(for: .milliseconds(20))
        begun.give(.success(5))
        #expect(try await task.value == 5, "what is being done is seen done")
    }

    @Test func aCancelledCallerHasItsGrace() async throws {
        let answer = Answer<Int>()
        #expect(answer.begin())
        let task = Task {
            try await answer.value(within: .seconds(60), afterCancellation: .milliseconds(20)) {
                LXCError(.timedOut, "late")
            }
        }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }
}
