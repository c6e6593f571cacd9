public import HypervisorDriver
public import LXCCore

/// What a command that was run to its end left.
public struct CommandResult: Hashable, Sendable {
    /// How it ended.
    public var exit: GuestExit
    /// What it wrote on its standard output, or on its terminal.
    public var output: [UInt8]
    /// What it wrote on its standard error.
    public var errorOutput: [UInt8]

    /// Takes everything.
    public init(exit: GuestExit, output: [UInt8] = [], errorOutput: [UInt8] = []) {
        self.exit = exit
        self.output = output
        self.errorOutput = errorOutput
    }
}

extension Container {
    /// Starts a command inside the container and returns when it has begun.
    ///
    /// It has the container's ids, capabilities, limits and root directory, and nothing of this program but its
    /// streams. Dropping the process, or cancelling the wait for it, kills it.
    ///
    /// - Throws: `LXCError` `invalidState` when the container is not running, `notFound` for a program, directory or
    ///   user it does not have, `invalidArgument`.
    public func execute(_ command: GuestCommand) async throws -> any GuestProcess {
        try await Operation.run("container.execute", name.description, host.logger) {
            try await host.driver.execute(command, in: name)
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
        let process = try await execute(command)
        guard let timeout else { return try await Self.result(of: process, input, limit) }
        guard let result = try await within(timeout, { try await Self.result(of: process, input, limit) }) else {
            throw LXCError(
                .timedOut,
                "\(command.arguments[0].escapedForDisplay) in container \(name) did not end within \(timeout) and was "
                    + "killed")
        }
        return result
    }

    private static func result(
        of process: any GuestProcess, _ input: [UInt8], _ limit: ByteCount
    ) async throws -> CommandResult {
        async let output = collect(process.output, limit)
        async let errorOutput = collect(process.errorOutput, limit)
        async let written: Void = give(input, to: process)
        do {
            let (first, second, _) = try await (output, errorOutput, written)
            return CommandResult(exit: try await process.exit(), output: first, errorOutput: second)
        } catch {
            try? process.send(signal: 9)
            throw error
        }
    }

    private static func give(_ input: [UInt8], to process: any GuestProcess) async throws {
        do {
            if !input.isEmpty { try await process.write(input) }
            try await process.closeInput()
        } catch let error as LXCError where error.code == .invalidState {
            // It has ended, or does not want to read.
        }
    }

    private static func collect(
        _ stream: any AsyncSequence<[UInt8], any Error> & Sendable, _ limit: ByteCount
    ) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        for try await chunk in stream {
            bytes += chunk
            guard bytes.count <= limit.bytes else {
                throw LXCError(.limitExceeded, "the command wrote more than \(limit) and was killed")
            }
        }
        return bytes
    }
}
