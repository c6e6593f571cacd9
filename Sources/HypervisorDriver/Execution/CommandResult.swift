// SPDX-License-Identifier: Apache-2.0

public import LXCCore

/// The result of a command that ran to its end.
public struct CommandResult: Hashable, Sendable {
    /// The status it ended with.
    public var status: TerminationStatus
    /// Its standard output, or its terminal's.
    public var output: [UInt8]
    /// Its standard error.
    public var errorOutput: [UInt8]

    /// Creates a result.
    public init(status: TerminationStatus, output: [UInt8] = [], errorOutput: [UInt8] = []) {
        self.status = status
        self.output = output
        self.errorOutput = errorOutput
    }
}

extension GuestExecution {
    /// Runs a command inside a guest to its end.
    ///
    /// - Parameters:
    ///   - command: the command to run.
    ///   - guest: the guest.
    ///   - input: its standard input.
    ///   - timeout: the time after which it is killed, including its start; nil waits without a limit.
    ///   - limit: the most of each stream that is kept; a command that writes more is killed.
    /// - Returns: the result.
    /// - Throws: as ``execute(_:in:)``; `LXCError` `timedOut`, `limitExceeded`; `CancellationError`. It is killed then.
    public func run(
        _ command: GuestCommand, in guest: GuestName, input: [UInt8] = [], timeout: Duration? = nil,
        limit: ByteCount = .mebibytes(16)
    ) async throws -> CommandResult {
        let run = { @Sendable in
            try await CommandResult.collected(from: execute(command, in: guest), input, limit)
        }
        guard let timeout else { return try await run() }
        guard let result = try await within(timeout, run) else {
            throw LXCError(
                .timedOut,
                "\((command.arguments.first ?? "").escapedForDisplay) in container \(guest) did not end within \(timeout) "
                    + "and was killed")
        }
        return result
    }
}

extension CommandResult {
    fileprivate static func collected(
        from process: any GuestProcess, _ input: [UInt8], _ limit: ByteCount
    ) async throws -> CommandResult {
        async let output = collect(process.output, limit)
        async let errorOutput = collect(process.errorOutput, limit)
        async let written: Void = give(input, to: process)
        do {
            let (first, second, _) = try await (output, errorOutput, written)
            return CommandResult(status: try await process.wait(), output: first, errorOutput: second)
        } catch {
            try? process.send(.kill)
            throw error
        }
    }

    private static func give(_ input: [UInt8], to process: any GuestProcess) async throws {
        do {
            if !input.isEmpty { try await process.write(input) }
            try await process.closeInput()
        } catch let error as LXCError where error.code == .invalidState {
            // It has ended, or does not read its input.
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
