import CLinux
import FileTree
import Glibc
import LXCCore
import Synchronization

/// A command inside a container: its streams, and the starter outside that tells of its end.
final class EnteredProcess: GuestProcess {
    private let input: DescriptorStream
    private let standardOutput: DescriptorStream
    private let standardError: DescriptorStream?
    private let hasTerminal: Bool
    private let group: ProcessGroup
    private let end: Task<GuestExit, any Error>

    /// Takes over what ``EnterStarter`` has started.
    init(_ started: EnterStarter.Started) {
        input = started.input
        standardOutput = started.output
        standardError = started.errorOutput
        hasTerminal = started.errorOutput == nil
        let group = started.group
        let report = started.report
        let starter = started.starter
        self.group = group
        end = Task {
            let message = try? await report.receive(ExitReport.size)
            group.end()
            report.close()
            try? await BlockingPool.shared.run { _ in _ = clinux_await_child(starter, 0) }
            // Whoever ends a container ends the starter too, which then tells nothing.
            guard let message, message.bytes.count == ExitReport.size else { return .signalled(SIGKILL) }
            return ExitReport.decode(message.bytes)
        }
    }

    deinit { group.send(SIGKILL) }

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

    func send(signal: Int32) throws {
        guard signal > 0, signal < 65 else { throw LXCError(.invalidArgument, "\(signal) is no signal") }
        group.send(signal)
    }

    func exit() async throws -> GuestExit {
        let exit = try await withTaskCancellationHandler {
            try await end.value
        } onCancel: {
            group.send(SIGKILL)
        }
        try Task.checkCancellation()
        return exit
    }
}

/// The processes of a command, by the number of their group on the host. The number is theirs until ``end()``, because
/// the starter keeps what is left of the command until then.
final class ProcessGroup: Sendable {
    private let number: Mutex<pid_t?>

    init(_ number: pid_t) { self.number = Mutex(number) }

    /// Signals all of them; nothing when they have ended.
    func send(_ signal: Int32) {
        number.withLock { number in if let number { _ = kill(-number, signal) } }
    }

    /// The number may be another's from now on.
    func end() { number.withLock { $0 = nil } }
}
