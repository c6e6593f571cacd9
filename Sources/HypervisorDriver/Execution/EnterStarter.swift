// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import LXCCore
import LinuxSystem

/// Starts the program that enters a container, and receives its reports until the command runs.
struct EnterStarter {
    /// A command that runs.
    struct Started {
        var input: DescriptorStream
        var output: DescriptorStream
        /// Nil for a command with a terminal.
        var errorOutput: DescriptorStream?
        var report: DescriptorStream
        var starter: pid_t
        var processes: CommandProcesses
    }

    /// The time limit for a command's start: entering a container takes milliseconds. A frozen container would delay it
    /// endlessly.
    private static let patience = Duration.seconds(30)

    /// Starts a command.
    ///
    /// - Throws: `LXCError` naming the failed step, `notFound` if the program does not exist, `timedOut` if it does not
    ///   start.
    static func start(
        _ command: ResolvedCommand, _ confinement: Confinement, in namespaces: GuestNamespaces,
        _ controlGroup: CommandControlGroup?, shown: String
    ) async throws -> Started {
        let kinds = namespaces.descriptors.map(\.kind)
        let script = EnterScript(command, confinement, namespaces: kinds, controlGroup: controlGroup?.name)
        let pipes = try CommandPipes(withTerminal: command.terminal != nil)
        let starter = try await BlockingPool.shared.run { _ in
            let program = try EnterProgram.make(script.list)
            defer { pipes.closeProgramEnds() }
            return try spawn(
                pipes.programEnds + (controlGroup?.descriptors ?? []) + namespaces.descriptors.map(\.number)
                    + [program.raw])
        }
        do {
            let started = try await within(patience) {
                try await listen(to: starter, pipes, script, controlGroup, shown: shown)
            }
            if let started { return started }
            throw LXCError(.timedOut, "the command did not begin in \(shown) within \(patience); is it suspended?")
        } catch {
            // It ends when its report stream is closed, and the command with it.
            kill(starter, SIGKILL)
            controlGroup?.kill()
            pipes.report.close()
            // Not waited for: a frozen process ends only when it is thawed.
            SystemThread.detach("lxc-reaper") {
                _ = clinux_await_child(starter, 0)
                withExtendedLifetime(controlGroup) {}
            }
            throw error
        }
    }

    private static func listen(
        to starter: pid_t, _ pipes: CommandPipes, _ script: EnterScript, _ controlGroup: CommandControlGroup?,
        shown: String
    ) async throws -> Started {
        var terminal: DescriptorStream?
        while let message = try await pipes.report.receive(ExitReport.size) {
            if message.descriptor >= 0 {
                guard clinux_is_terminal_master(message.descriptor) == 1, terminal == nil else {
                    close(message.descriptor)
                    throw LXCError(.unsafe, "\(shown) has no real terminals in its /dev/pts; mount devpts there")
                }
                terminal = try DescriptorStream(Descriptor(adopting: message.descriptor))
            }
            switch message.bytes.count {
            case 16:
                throw failure(message.bytes, script, shown)
            case 8:
                let number = message.bytes.withUnsafeBytes { $0.loadUnaligned(as: Int64.self) }
                guard let input = terminal ?? pipes.input, let output = terminal ?? pipes.output else { break }
                return Started(
                    input: input, output: output, errorOutput: pipes.errorOutput, report: pipes.report,
                    starter: starter, processes: CommandProcesses(pid_t(number), controlGroup))
            default:
                break
            }
        }
        throw LXCError(.invalidState, "\(shown) ended before the command began")
    }

    private static func failure(_ bytes: [UInt8], _ script: EnterScript, _ shown: String) -> LXCError {
        let words = bytes.withUnsafeBytes { bytes in
            [0, 8].map { bytes.loadUnaligned(fromByteOffset: $0, as: UInt64.self) }
        }
        let (purpose, kind) = script.list.purpose(of: Int(clamping: words[1]))
        let number = CInt(truncatingIfNeeded: words[0])
        let error = LXCError.systemCall("enter", errno: number, "\(purpose) in \(shown)")
        let isMissing = kind == .execution && (error.code == .notFound || number == ENOTDIR)
        let fault = isMissing ? GuestCommandFault.programNotFound : .cannotRun
        let reason = error.cause.map { "\(error.message): \($0)" } ?? error.message
        return LXCError(isMissing ? .notFound : error.code, reason, cause: fault)
    }

    /// Starts a program of ``EnterProgram``.
    ///
    /// - Parameter descriptors: the program's descriptors from number 0 on; the last one is the program itself.
    /// - Returns: its number.
    /// - Throws: `LXCError`.
    static func spawn(_ descriptors: [CInt]) throws -> pid_t {
        // The only argument is its name in lists of processes.
        try ChildProcess.spawn(
            "/proc/self/fd/\(descriptors.count - 1)", ["lxc-enter"], descriptors: descriptors, to: "start a command")
    }
}
