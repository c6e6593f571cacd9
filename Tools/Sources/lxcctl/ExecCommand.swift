// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Dispatch
import Glibc
import LXCCore
import LXCHypervisor

struct ContainerExec: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "exec", abstract: "Runs a command inside a running container.",
        discussion: """
            Its input and output are this command's, and so is its status; 128 and the signal's number when a signal ended
            it. 124: --timeout has ended it; 126: it could not be begun; 127: the container has no such program. When this
            command ends before it, it is killed with all that it has started. On a terminal it gets one of its own.
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
        let exit = try await argument.withDriver { driver, name in
            if argument.common.json { return try await report(command, in: name, by: driver) }
            return try await pass(command, in: name, by: driver)
        }
        throw ExitCode(exit)
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
        if parts.count == 1 { return .id(user) }
        guard parts.count == 2, let group = UInt32(parts[1]) else {
            throw LXCError(.invalidArgument, "--user takes a name or UID[:GID], not \"\(text.escapedForDisplay)\"")
        }
        return .ids(user: user, group: group)
    }

    /// One JSON document about all of it.
    private func report(
        _ command: GuestCommand, in container: GuestName, by driver: LibvirtContainers
    ) async throws -> CInt {
        do {
            let result = try await driver.run(
                command, in: container, timeout: timeout.map { .seconds($0) })
            try Output.json(ExecReport(result))
            return result.status.shellStatus
        } catch let error as LXCError where error.code == .timedOut && timeout != nil {
            return Self.fail(error, Self.timedOut)
        } catch let error as LXCError {
            guard let fault = error.cause as? GuestCommandFault else { throw error }
            return Self.fail(error, fault.shellStatus)
        }
    }

    /// Passes the streams through.
    private func pass(
        _ command: GuestCommand, in container: GuestName, by driver: LibvirtContainers
    ) async throws -> CInt {
        do {
            let run = { @Sendable in try await connect(driver.execute(command, in: container), command) }
            guard let timeout else { return try await run().shellStatus }
            if let exit = try await Race.result(of: run, within: .seconds(timeout)) { return exit.shellStatus }
            return Self.fail(
                LXCError(.timedOut, "the command did not end within \(timeout) s and was killed"), Self.timedOut)
        } catch let error as LXCError {
            guard let fault = error.cause as? GuestCommandFault else { throw error }
            return Self.fail(error, fault.shellStatus)
        }
    }

    /// The exit status of timeout(1).
    private static let timedOut: CInt = 124

    private static func fail(_ error: LXCError, _ status: CInt) -> CInt {
        _ = Failure.report(error)
        return status
    }

    /// Connects the command's streams with this program's until it has ended. Where this is given up, the command is
    /// killed.
    private func connect(_ process: any GuestProcess, _ command: GuestCommand) async throws -> TerminationStatus {
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
        defer { input.cancel() }
        do {
            async let errors: Void = Self.copy(process.errorOutput, to: STDERR_FILENO)
            try await Self.copy(process.output, to: STDOUT_FILENO)
            try await errors
            return try await process.wait()
        } catch {
            try? process.send(.kill)
            throw error
        }
    }

    private static func copy(
        _ stream: any AsyncSequence<[UInt8], any Error> & Sendable, to descriptor: CInt
    ) async throws {
        let output = StandardOutput(descriptor)
        for try await bytes in stream { try await output.write(bytes) }
    }
}

/// The first of two: a result, or the end of the time limit.
private enum Race {
    /// - Returns: nil when the time is over; `body` is cancelled then.
    static func result<Value: Sendable>(
        of body: @escaping @Sendable () async throws -> Value, within time: Duration
    ) async throws -> Value? {
        try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask { try await body() }
            group.addTask {
                try await Task.sleep(for: time)
                return nil
            }
            defer { group.cancelAll() }
            return try await group.next() ?? nil
        }
    }
}

/// The JSON of a command that has ended.
private struct ExecReport: Encodable {
    var status: Int32?
    var signal: Int32?
    var stdout: String
    var stderr: String

    init(_ result: CommandResult) {
        switch result.status {
        case .exited(let status): self.status = status
        case .signalled(let signal): self.signal = signal
        }
        stdout = String(decoding: result.output, as: UTF8.self)
        stderr = String(decoding: result.errorOutput, as: UTF8.self)
    }
}
