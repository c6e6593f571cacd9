// SPDX-License-Identifier: Apache-2.0

public import HypervisorDriver
public import LXCCore

extension LXCHypervisor.Container {
    /// Starts a command inside the container and returns once it is running.
    ///
    /// The command has the ids, capabilities, limits, priorities, security label and root directory of the container's
    /// process 1, and nothing of this program except its streams. Dropping the process, cancelling the wait for it, or
    /// the end of this program kills it and everything it started.
    ///
    /// - Throws: `LXCError` `invalidState` if the container is not running, `notFound` if it does not have the program,
    ///   directory or user, with a `GuestCommandFault` as the cause; `invalidArgument`; `timedOut`.
    public func execute(_ command: GuestCommand) async throws -> any GuestProcess {
        try await Operation.run("container.execute", name.description, keeper.logger) {
            try await keeper.driver.execution.execute(command, in: name)
        }
    }

    /// Runs a command inside the container for the duration of `body`. When `body` returns, throws or is cancelled, the
    /// command and everything it started are killed, unless the command has ended.
    ///
    /// - Parameters:
    ///   - command: the command to run.
    ///   - body: reads and writes the command's streams and waits for it to end.
    /// - Returns: the result of `body`.
    /// - Throws: the errors of ``execute(_:)`` and those of `body`.
    public func withProcess<Value>(
        _ command: GuestCommand, _ body: (any GuestProcess) async throws -> Value
    ) async throws -> Value {
        let process = try await execute(command)
        return try await scoped({ try await body(process) }) {
            try? process.send(.kill)
            // The processes of a suspended container end only when it is resumed.
            _ = try? await within(.seconds(5)) { try await process.wait() }
        }
    }

    /// Runs a command inside the container until it ends.
    ///
    /// - Parameters:
    ///   - command: the command to run.
    ///   - input: the standard input of the command.
    ///   - timeout: the time after which the command is killed; `nil` waits indefinitely.
    ///   - limit: the maximum kept of each output stream; a command that writes more is killed.
    /// - Returns: the result of the command.
    /// - Throws: the errors of ``execute(_:)``; `LXCError` `timedOut`, `limitExceeded`; `CancellationError`. The
    ///   command is killed in these cases.
    public func run(
        _ command: GuestCommand, input: [UInt8] = [], timeout: Duration? = nil, limit: ByteCount = .mebibytes(16)
    ) async throws -> CommandResult {
        try await Operation.run("container.exec", name.description, keeper.logger) {
            try await keeper.driver.execution.run(command, in: name, input: input, timeout: timeout, limit: limit)
        }
    }
}
