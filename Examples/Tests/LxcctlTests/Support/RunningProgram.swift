import Foundation
import Glibc
import Testing

/// What a program left when it ended.
struct Outcome: Sendable {
    /// Its exit status; the negative number of the signal that killed it.
    var status: Int32
    var stdout: String
    var stderr: String

    /// The JSON document on stdout.
    func json(_ location: SourceLocation = #_sourceLocation) throws -> JSON {
        try #require(status == 0, "\(stderr)", sourceLocation: location)
        return try JSON(JSONSerialization.jsonObject(with: Data(stdout.utf8), options: .fragmentsAllowed))
    }

    /// The line on stdout.
    func line(_ location: SourceLocation = #_sourceLocation) throws -> String {
        try #require(status == 0, "\(stderr)", sourceLocation: location)
        let lines = stdout.split(separator: "\n").map(String.init)
        return try #require(lines.count == 1 ? lines.first : nil, "\(stdout)", sourceLocation: location)
    }
}

/// A program run with pipes, never with a terminal.
///
/// Its output is read to the end of the pipes, not to the end of the program: a daemon that kept the tool's stdout would
/// be found by the test that waits.
final class RunningProgram: Sendable {
    private let process: Process
    private let input = Pipe()
    private let result: Task<Outcome, Never>

    /// Starts it; stdin stays open until ``closeInput()`` unless `closingInput`.
    init(_ path: String, _ arguments: [String], environment: [String: String] = [:], closingInput: Bool = true) throws {
        let process = Process()
        let (output, errors) = (Pipe(), Pipe())
        process.executableURL = URL(filePath: path)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.standardInput = input
        process.standardOutput = output
        process.standardError = errors
        let ended = AsyncStream<Int32>.makeStream()
        process.terminationHandler = {
            ended.continuation.yield($0.terminationReason == .exit ? $0.terminationStatus : -$0.terminationStatus)
            ended.continuation.finish()
        }
        try process.run()
        if closingInput { try input.fileHandleForWriting.close() }
        self.process = process
        result = Task {
            async let stdout = Self.contents(output.fileHandleForReading)
            async let stderr = Self.contents(errors.fileHandleForReading)
            var status: Int32 = .min
            for await value in ended.stream { status = value }
            return await Outcome(status: status, stdout: stdout, stderr: stderr)
        }
    }

    private static func contents(_ file: FileHandle) async -> String {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                let bytes = (try? file.readToEnd()) ?? Data()
                continuation.resume(returning: String(decoding: bytes, as: UTF8.self))
            }
        }
    }

    /// Sends a signal.
    func signal(_ number: Int32) { kill(process.processIdentifier, number) }

    /// Types something.
    func type(_ text: String) throws { try input.fileHandleForWriting.write(contentsOf: Data(text.utf8)) }

    /// Ends its input.
    func closeInput() throws { try input.fileHandleForWriting.close() }

    /// Waits for its end; kills it when it does not end in two minutes.
    func outcome() async -> Outcome {
        let watchdog = Task {
            try await Task.sleep(for: .seconds(120))
            signal(SIGKILL)
        }
        defer { watchdog.cancel() }
        return await result.value
    }
}

/// Runs a program of the host to its end; another exit status than 0 fails the test.
@discardableResult
func host(_ path: String, _ arguments: String..., location: SourceLocation = #_sourceLocation) async throws -> String {
    let outcome = try await RunningProgram(path, arguments).outcome()
    try #require(outcome.status == 0, "\(path) \(arguments): \(outcome.stderr)", sourceLocation: location)
    return outcome.stdout
}

/// Waits until something holds; false when it does not in 30 s.
func eventually(_ condition: () async throws -> Bool) async rethrows -> Bool {
    let deadline = ContinuousClock.now + .seconds(30)
    while try await !condition() {
        if ContinuousClock.now > deadline { return false }
        try? await Task.sleep(for: .milliseconds(5))
    }
    return true
}
