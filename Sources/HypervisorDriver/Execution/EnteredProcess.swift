// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import LXCCore
import LinuxSystem
import Synchronization

/// A command inside a container: its streams, and the starter outside that reports its end.
final class EnteredProcess: GuestProcess {
    private let input: DescriptorStream
    private let standardOutput: DescriptorStream
    private let standardError: DescriptorStream?
    private let hasTerminal: Bool
    private let processes: CommandProcesses
    private let outcome = Outcome<TerminationStatus>()

    /// The time that processes left by a command may continue to write to its streams after its end.
    private static let drainage = Duration.milliseconds(500)
    /// The time the starter may take to clean up after a command, before its end is reported anyway.
    private static let tidiness = Duration.milliseconds(100)
    /// The time to wait for the end of a killed command: a frozen one ends only when it is thawed.
    private static let patience = Duration.seconds(5)

    /// Creates the process that ``EnterStarter`` has started.
    init(_ started: EnterStarter.Started) {
        input = started.input
        standardOutput = started.output
        standardError = started.errorOutput
        hasTerminal = started.errorOutput == nil
        processes = started.processes
        Task { [outcome] in await Self.follow(started, outcome) }
    }

    private static func follow(_ started: EnterStarter.Started, _ outcome: Outcome<TerminationStatus>) async {
        let message = try? await started.report.receive(ExitReport.size)
        started.processes.end()
        started.report.close()
        // Killing the starter kills the command with it, without a report.
        let report = message.flatMap { $0.bytes.count == ExitReport.size ? $0.bytes : nil }
        let exit = report.map(ExitReport.decode) ?? .signalled(SIGKILL)
        let starter = started.starter
        let reaping = Task {
            try? await BlockingPool.shared.run { _ in _ = clinux_await_child(starter, 0) }
            outcome.settle(exit)
        }
        if report == nil {
            await reaping.value
        } else {
            // Processes left by the command keep its control group, and with it the starter, which tries to remove
            // that.
            try? await Task.sleep(for: tidiness)
            outcome.settle(exit)
        }
        try? await Task.sleep(for: drainage)
        started.output.finish()
        started.errorOutput?.finish()
    }

    deinit { processes.send(SIGKILL) }

    var output: any AsyncSequence<[UInt8], any Error> & Sendable { DescriptorOutput(stream: standardOutput) }
    var errorOutput: any AsyncSequence<[UInt8], any Error> & Sendable { DescriptorOutput(stream: standardError) }

    func write(_ bytes: [UInt8]) async throws { try await input.write(bytes) }

    func closeInput() async throws {
        guard hasTerminal else { return input.close() }
        let endOfTransmission: UInt8 = 4
        try await input.write([endOfTransmission])
    }

    func resize(to size: TerminalSize) async throws {
        guard hasTerminal else { throw LXCError(.invalidState, "the command has no terminal to resize") }
        try input.withDescriptor { descriptor in
            guard clinux_set_window_size(descriptor, size.rows, size.columns) == 0 else {
                throw LXCError.lastSystemCall("ioctl", "resize the terminal of the command")
            }
        }
    }

    func send(_ signal: GuestSignal) throws { processes.send(signal.rawValue) }

    func wait() async throws -> TerminationStatus {
        if let exit = await outcome.value() {
            try Task.checkCancellation()
            return exit
        }
        processes.send(SIGKILL)
        await withoutCancellation { [outcome] in _ = try? await within(Self.patience) { await outcome.value() } }
        throw CancellationError()
    }
}

/// The processes of a command: by the number of their group on the host, and by their control group. The number is
/// theirs until ``end()``, because the starter holds the command's remains until then.
final class CommandProcesses: Sendable {
    private let number: Mutex<pid_t?>
    private let controlGroup: CommandControlGroup?

    init(_ number: pid_t, _ controlGroup: CommandControlGroup?) {
        self.number = Mutex(number)
        self.controlGroup = controlGroup
    }

    /// Signals all of them; SIGKILL those too that have left the group. Nothing when the command has ended.
    func send(_ signal: Int32) {
        number.withLock { number in
            guard let number else { return }
            _ = kill(-number, signal)
            if signal == SIGKILL { controlGroup?.kill() }
        }
    }

    /// The number may be reused from now on.
    func end() { number.withLock { $0 = nil } }
}

/// A value that is set once, for any number of waiters.
final class Outcome<Value: Sendable>: Sendable {
    private struct State {
        var value: Value?
        var next = 0
        var waiting: [Int: CheckedContinuation<Value?, Never>] = [:]
        var cancelled: Set<Int> = []
    }

    private let state = Mutex(State())

    /// Sets it; the first counts.
    func settle(_ value: Value) {
        let waiting = state.withLock { state -> [CheckedContinuation<Value?, Never>] in
            guard state.value == nil else { return [] }
            state.value = value
            defer { state.waiting = [:] }
            return Array(state.waiting.values)
        }
        for continuation in waiting { continuation.resume(returning: value) }
    }

    /// Waits for it; nil when the task is cancelled before.
    func value() async -> Value? {
        let number = state.withLock { state in
            state.next += 1
            return state.next
        }
        let value = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let answer = state.withLock { state -> Value?? in
                    if let value = state.value { return .some(value) }
                    if state.cancelled.contains(number) { return .some(nil) }
                    state.waiting[number] = continuation
                    return .none
                }
                if let answer { continuation.resume(returning: answer) }
            }
        } onCancel: {
            let waiting = state.withLock { state in
                state.cancelled.insert(number)
                return state.waiting.removeValue(forKey: number)
            }
            waiting?.resume(returning: nil)
        }
        state.withLock { state in _ = state.cancelled.remove(number) }
        return value
    }
}
