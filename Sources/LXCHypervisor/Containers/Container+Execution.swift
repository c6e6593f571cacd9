// SPDX-License-Identifier: Apache-2.0

public import HypervisorDriver
public import LXCCore

extension LXCHypervisor.Container {
    /// Starts a command inside the container and returns when it has begun.
    ///
    /// It has what process 1 of the container has: ids, capabilities, limits, priorities, security label and root
    /// directory; and nothing of this program but its streams. Dropping the process, or cancelling the wait for it, kills
    /// it and all that it has started, and so does the end of this program.
    ///
    /// - Throws: `LXCError` `invalidState` when the container is not running, `notFound` for a program, directory or
    ///   user it does not have, with a `GuestCommandFault` as the cause; `invalidArgument`; `timedOut`.
    public func execute(_ command: GuestCommand) async throws -> any GuestProcess {
        try await Operation.run("container.execute", name.description, keeper.logger) {
            try await keeper.driver.execution.execute(command, in: name)
        }
    }

    /// Starts a command inside the container for the time of `body`. When `body` returns, throws or is cancelled, the command
    /// is killed with all that it has started, unless it has ended.
    ///
    /// - Parameters:
    ///   - command: what is run.
    ///   - body: what reads and writes the command's streams and waits for its end.
    /// - Returns: what `body` returns.
    /// - Throws: as ``execute(_:)``, and what `body` throws.
    public func withProcess<Value>(
        _ command: GuestCommand, _ body: (any GuestProcess) async throws -> Value
    ) async throws -> Value {
        let process = try await execute(command)
        return try await scoped({ try await body(process) }) {
            try? process.send(.kill)
            // The processes of a suspended container end when it goes on.
            _ = try? await within(.seconds(5)) { try await process.wait() }
        }
    }

    /// Runs a command inside the container to its end.
    ///
    /// - Parameters:
    ///   - command: what is run.
    ///   - input: what it reads.
    ///   - timeout: after which it is killed; nil waits as long as it takes.
    ///   - limit: the most of each stream that is kept; a command that writes more is killed.
    /// - Returns: what it left.
    /// - Throws: as ``execute(_:)``; `LXCError` `timedOut`, `limitExceeded`; `CancellationError`. It is killed then.
    public func run(
        _ command: GuestCommand, input: [UInt8] = [], timeout: Duration? = nil, limit: ByteCount = .mebibytes(16)
    ) async throws -> CommandResult {
        try await Operation.run("container.exec", name.description, keeper.logger) {
            try await keeper.driver.execution.run(command, in: name, input: input, timeout: timeout, limit: limit)
        }
    }
}
