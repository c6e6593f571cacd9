// SPDX-License-Identifier: Apache-2.0

import HypervisorDriver
import LXCCore
import LinuxSystem

/// Arbitrates between the readers of a container's console. libvirt delivers output to whichever reader asks first, so
/// of this package's programs on a host, either one logs or others read: a reader that wants the console signals it
/// with a lock, and the logger lets go.
///
/// Both locks are file locks that end with their holders, so killed programs block nobody.
struct ConsoleTurn: Sendable {
    /// The common prefix of the locks' paths.
    let path: String

    /// Shared by readers that want or have the console.
    private var wanted: String { "\(path).wanted" }
    /// Held by the logger; shared by readers that have the console.
    private var reading: String { "\(path).reading" }

    /// Waits until no reader wants the console and runs `body` with exclusive access until it ends or a reader wants
    /// the console.
    ///
    /// - Returns: the result of `body`; `nil` if it was interrupted.
    func log<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws -> Value? {
        try await waitUntilUnwanted()
        return try await FileLock.hold(reading, pool: .shared) {
            try await withThrowingTaskGroup(of: Value?.self) { group in
                group.addTask { try await body() }
                group.addTask {
                    while try await isUnwanted() { try await Task.sleep(for: .milliseconds(200)) }
                    return nil
                }
                defer { group.cancelAll() }
                return try await group.next() ?? nil
            }
        }
    }

    /// Runs `body` if nobody has the console and nobody logs.
    ///
    /// - Returns: whether `body` ran.
    func remove(_ body: @escaping @Sendable () -> Void) async throws -> Bool {
        try await FileLock.tryHold(reading, pool: .shared) {
            try await BlockingPool.shared.run { _ in body() }
            return true
        } ?? false
    }

    private func waitUntilUnwanted() async throws {
        while try await !isUnwanted() { try await Task.sleep(for: .milliseconds(200)) }
    }

    private func isUnwanted() async throws -> Bool {
        if try await FileLock.tryHold(wanted, pool: .shared, { true }) != nil { return true }
        // Another logger may have checked at the same moment.
        try await Task.sleep(for: .milliseconds(20))
        return try await FileLock.tryHold(wanted, pool: .shared, { true }) != nil
    }

    /// Holds the console until `body` ends. The logger has let go of it by the time `body` runs.
    func take<Value>(_ body: () async throws -> Value) async throws -> Value {
        try await FileLock.hold(wanted, .shared, pool: .shared) {
            try await FileLock.hold(reading, .shared, pool: .shared, body)
        }
    }
}

/// A console that holds its turn until it is closed.
final class TakenConsole: GuestConsole {
    private let console: any GuestConsole
    private let isOver: AsyncStream<Never>.Continuation

    /// Takes the turn and opens the console.
    static func open(
        _ turn: ConsoleTurn, _ open: @escaping @Sendable () async throws -> any GuestConsole
    ) async throws -> TakenConsole {
        let (over, isOver) = AsyncStream.makeStream(of: Never.self)
        let (opened, continuation) = AsyncThrowingStream.makeStream(of: TakenConsole.self)
        // In its own task, because the turn outlasts this call.
        let task = Task {
            do {
                try await turn.take {
                    continuation.yield(TakenConsole(try await open(), isOver))
                    continuation.finish()
                    for await _ in over {}
                }
            } catch {
                continuation.finish(throwing: error)
            }
        }
        return try await withTaskCancellationHandler {
            for try await console in opened { return console }
            throw CancellationError()
        } onCancel: {
            task.cancel()
        }
    }

    private init(_ console: any GuestConsole, _ isOver: AsyncStream<Never>.Continuation) {
        self.console = console
        self.isOver = isOver
    }

    deinit { isOver.finish() }

    var output: any AsyncSequence<[UInt8], any Error> & Sendable { console.output }

    func write(_ bytes: [UInt8]) async throws { try await console.write(bytes) }

    func close() async {
        await console.close()
        isOver.finish()
    }
}
