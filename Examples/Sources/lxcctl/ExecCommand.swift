import ArgumentParser
import Foundation
import LXCHypervisor

struct ContainerExec: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "exec", abstract: "Runs a command inside a running container.",
        discussion: """
            Its input and output are this command's, and so is its status; 128 and the signal's number when a signal ended
            it. On a terminal it gets one of its own.
            """)

    @OptionGroup var argument: ContainerArgument
    @Option(help: ArgumentHelp("As whom: a name of the container's, or UID[:GID]; by default root.", valueName: "user"))
    var user: String?
    @Option(
        name: .customLong("env"), help: ArgumentHelp("A variable; may be repeated.", valueName: "name=value"))
    var environment: [String] = []
    @Option(help: ArgumentHelp("Where it starts; by default /.", valueName: "path"))
    var cwd = "/"
    @Option(help: ArgumentHelp("Kill it after so many seconds.", valueName: "seconds"))
    var timeout: Double?
    @Flag(inversion: .prefixedNo, help: "Whether it gets a terminal; by default when this is one.")
    var tty: Bool?
    @Argument(parsing: .postTerminator, help: "After --: the program and its arguments.")
    var command: [String]

    func validate() throws {
        if let timeout { try checkSeconds(timeout, of: "--timeout") }
        guard !(tty == true && argument.common.json) else {
            throw ValidationError("--json and --tty exclude each other.")
        }
    }

    func run() async throws {
        let command = try guestCommand()
        let exit = try await argument.withContainer { container in
            if argument.common.json { return try await report(command, in: container) }
            return try await pass(command, in: container)
        }
        throw ExitCode(exit.shellStatus)
    }

    private func guestCommand() throws -> GuestCommand {
        var result = GuestCommand(command)
        result.environment = try EnvironmentOption.values(environment)
        result.workingDirectory = cwd
        result.user = try user.map(Self.user) ?? .root
        let isTerminal = isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1
        if !argument.common.json, tty ?? isTerminal { result.terminal = RawTerminal.size }
        return result
    }

    private static func user(_ text: String) throws -> GuestCommand.User {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard let user = UInt32(parts[0]) else { return .name(text) }
        guard parts.count <= 2, let group = parts.count == 1 ? user : UInt32(parts[1]) else {
            throw LXCError(.invalidArgument, "--user takes a name or UID[:GID], not \"\(text.escapedForDisplay)\"")
        }
        return .ids(user: user, group: group)
    }

    /// One JSON document about all of it.
    private func report(_ command: GuestCommand, in container: Container) async throws -> GuestExit {
        let result = try await container.run(command, timeout: timeout.map { .seconds($0) })
        try Output.json(ExecReport(result))
        return result.exit
    }

    /// Passes the streams through.
    private func pass(_ command: GuestCommand, in container: Container) async throws -> GuestExit {
        let process = try await container.execute(command)
        let terminal = command.terminal == nil ? nil : RawTerminal()
        let sizes = terminal.map { _ in
            RawTerminal.watchSize { size in Task { try? await process.resize(to: size) } }
        }
        defer {
            sizes?.cancel()
            terminal?.restore()
        }
        let input = Task {
            for await chunk in StandardInput() { guard (try? await process.write(chunk)) != nil else { return } }
            try? await process.closeInput()
        }
        let timer = timeout.map { seconds in
            Task {
                try await Task.sleep(for: .seconds(seconds))
                try process.send(signal: SIGKILL)
            }
        }
        defer {
            input.cancel()
            timer?.cancel()
        }
        async let errors: Void = Self.copy(process.errorOutput, to: .standardError)
        try await Self.copy(process.output, to: .standardOutput)
        try await errors
        return try await process.exit()
    }

    private static func copy(
        _ stream: any AsyncSequence<[UInt8], any Error> & Sendable, to file: FileHandle
    ) async throws {
        for try await bytes in stream { try file.write(contentsOf: Data(bytes)) }
    }
}

/// The JSON of a command that has ended.
private struct ExecReport: Encodable {
    var status: Int32?
    var signal: Int32?
    var stdout: String
    var stderr: String

    init(_ result: CommandResult) {
        switch result.exit {
        case .exited(let status): self.status = status
        case .signalled(let signal): self.signal = signal
        }
        stdout = String(decoding: result.output, as: UTF8.self)
        stderr = String(decoding: result.errorOutput, as: UTF8.self)
    }
}
