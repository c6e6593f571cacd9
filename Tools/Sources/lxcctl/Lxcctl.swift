// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Dispatch
import FoundationEssentials
import Glibc
import LXCHypervisor
import OperatorSupport

/// The operator's tool: every command is one call of the library, its JSON and exit codes are a public contract
/// (Documentation/lxcctl.md).
struct Lxcctl: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lxcctl",
        abstract: "Runs LXC system containers from tar templates.",
        version: "0.1.0",
        subcommands: [
            TreeCommand.self, TemplateCommand.self, PoolCommand.self, VolumeCommand.self, LeaseCommand.self,
            ContainerCommand.self, NICCommand.self, VMCommand.self, XMLCommand.self, HostCommand.self,
        ])
}

@main
enum Main {
    static func main() async {
        StandardStreams.reserve()
        let work = Task { await execute() }
        // An interrupted command, also one whose terminal was closed, reverts unfinished changes and fails.
        let numbers = [SIGINT, SIGTERM] + (isHangupIgnored ? [] : [SIGHUP])
        let signals = numbers.map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            // Sendable, so that it is not taken for the main actor's: it runs on a thread of the queue's.
            source.setEventHandler { @Sendable in work.cancel() }
            source.resume()
            return source
        }
        let status = await work.value
        signals.forEach { $0.cancel() }
        exit(Output.finish(status))
    }

    /// Whether it was started to outlive its terminal, as by nohup.
    private static var isHangupIgnored: Bool {
        var action = sigaction()
        guard sigaction(SIGHUP, nil, &action) == 0 else { return false }
        let handlers = [action.__sigaction_handler.sa_handler, SIG_IGN].map { unsafeBitCast($0, to: Int.self) }
        return handlers[0] == handlers[1]
    }

    private static func execute() async -> CInt {
        do {
            var command = try Lxcctl.parseAsRoot()
            do {
                if var asynchronous = command as? any AsyncParsableCommand {
                    try await asynchronous.run()
                } else {
                    try command.run()
                }
                return EXIT_SUCCESS
            } catch {
                return Failure.report(error)
            }
        } catch {
            return Failure.reportUsage(error)
        }
    }
}

/// The one clear line a failed command leaves on stderr.
enum Failure {
    static func report(_ error: any Error) -> CInt {
        if let code = error as? ExitCode { return code.rawValue }
        // The parser's own: help that was asked for, and arguments that make no sense together.
        if [.success, .validationFailure].contains(Lxcctl.exitCode(for: error)) { return reportUsage(error) }
        say(ErrorText.line(of: error))
        return EXIT_FAILURE
    }

    /// Requested help and version exit with 0; usage errors with 64.
    static func reportUsage(_ error: any Error) -> CInt {
        let (code, text) = (Lxcctl.exitCode(for: error), Lxcctl.fullMessage(for: error))
        if code == .success {
            print(text)
        } else if !text.isEmpty {
            StandardError.write("\(text)\n")
        }
        return code.rawValue
    }

    /// A line on stderr, unless it is not read: a paused reader must not delay the end of this program.
    static func say(_ line: String) {
        var stream = pollfd(fd: STDERR_FILENO, events: Int16(POLLOUT), revents: 0)
        let patience: CInt = 1000
        guard poll(&stream, 1, patience) > 0 else { return }
        // A pipe that can be written to has room for so much.
        let room = 4096
        StandardError.write(Array("lxcctl: \(line)\n".utf8.prefix(room)))
    }
}
