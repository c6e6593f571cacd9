import HypervisorDriver
import LXCCore
import LinuxSystem

/// Who reads a container's console. libvirt gives what a container writes to whichever reader asks first, so of those of
/// this package on a host either one logs, or others read: who wants the console says so by a lock, and who logs lets go.
///
/// Both locks are files and end with their holders, so programs that were killed are in nobody's way.
struct ConsoleTurn: Sendable {
    /// What the locks' paths begin with.
    let path: String

    /// Shared by those who want the console, or have it.
    private var wanted: String { "\(path).wanted" }
    /// Held by who logs; shared by those who have the console.
    private var reading: String { "\(path).reading" }

    /// Waits until nobody wants the console, and runs `body` alone on it, until it ends or somebody wants the console.
    ///
    /// - Returns: what `body` returns; nil when it was ended.
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

    /// Runs `body` when nobody has the console and nobody logs.
    ///
    /// - Returns: whether it did.
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
        // Another who logs may have looked at the same moment.
        try await Task.sleep(for: .milliseconds(20))
        return try await FileLock.tryHold(wanted, pool: .shared, { true }) != nil
    }

    /// Has the console until `body` ends. Who logs has let go of it by then.
    func take<Value>(_ body: () async throws -> Value) async throws -> Value {
        try await FileLock.hold(wanted, .shared, pool: .shared) {
            try await FileLock.hold(reading, .shared, pool: .shared, body)
        }
    }
}

/// A console that keeps its turn until it is closed.
final class TakenConsole: GuestConsole {
    private let console: any GuestConsole
    private let isOver: AsyncStream<Never>.Continuation

    /// Takes the turn and opens the console.
    static func open(
        _ turn: ConsoleTurn, _ open: @escaping @Sendable () async throws -> any GuestConsole
    ) async throws -> TakenConsole {
        let (over, isOver) = AsyncStream.makeStream(of: Never.self)
        let (opened, continuation) = AsyncThrowingStream.makeStream(of: TakenConsole.self)
        // Its own task, because the turn lasts longer than this call.
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
