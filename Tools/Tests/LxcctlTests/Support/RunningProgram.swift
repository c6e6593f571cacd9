// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Synchronization
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
/// be found by the test that waits. It is started by `posix_spawn`, since Foundation's `Process` keeps descriptors of
/// every program it has run.
final class RunningProgram: Sendable {
    private let processID: pid_t
    private let input: Mutex<FileHandle?>
    private let result: Task<Outcome, Never>

    /// Starts it; stdin stays open until ``closeInput()`` unless `closingInput`.
    init(_ path: String, _ arguments: [String], environment: [String: String] = [:], closingInput: Bool = true) throws {
        let pipes = try (0...2).map { _ in try OpenPipe() }
        let theirs = [pipes[0].reading, pipes[1].writing, pipes[2].writing]
        let environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        defer { for end in theirs { close(end) } }
        do { processID = try Self.spawn(path, arguments, environment, descriptors: theirs) } catch {
            for end in [pipes[0].writing, pipes[1].reading, pipes[2].reading] { close(end) }
            throw error
        }
        let handle = FileHandle(fileDescriptor: pipes[0].writing, closeOnDealloc: true)
        input = Mutex(closingInput ? nil : handle)
        if closingInput { try handle.close() }
        let (processID, outputs) = (processID, (pipes[1].reading, pipes[2].reading))
        result = Task {
            async let stdout = Self.blocking { Self.contents(outputs.0) }
            async let stderr = Self.blocking { Self.contents(outputs.1) }
            async let status = Self.blocking { Self.status(processID) }
            return await Outcome(status: status, stdout: stdout, stderr: stderr)
        }
    }

    private static func spawn(
        _ path: String, _ arguments: [String], _ environment: [String: String], descriptors: [Int32]
    ) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for (number, end) in descriptors.enumerated() { posix_spawn_file_actions_adddup2(&actions, end, Int32(number)) }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // Threads of a test's process block signals, which a program would inherit.
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        let argv = ([path] + arguments).map { strdup($0) } + [nil]
        let envp = environment.map { strdup("\($0)=\($1)") } + [nil]
        defer { for text in argv + envp { free(text) } }
        var processID: pid_t = 0
        let error = starting.withLock { _ in posix_spawn(&processID, path, &actions, &attributes, argv, envp) }
        guard error == 0 else { throw POSIXError(POSIXErrorCode(rawValue: error) ?? .EIO) }
        return processID
    }

    private static func blocking<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread { continuation.resume(returning: body()) }
        }
    }

    private static func contents(_ descriptor: Int32) -> String {
        let file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        return String(decoding: (try? file.readToEnd()) ?? Data(), as: UTF8.self)
    }

    private static func status(_ processID: pid_t) -> Int32 {
        var status: Int32 = 0
        while waitpid(processID, &status, 0) < 0 && errno == EINTR {}
        let signal = status & 0x7f
        return signal == 0 ? (status >> 8) & 0xff : -signal
    }

    /// Sends a signal.
    func signal(_ number: Int32) { kill(processID, number) }

    /// Types something.
    func type(_ text: String) throws { try input.withLock { try $0?.write(contentsOf: Data(text.utf8)) } }

    /// Ends its input.
    func closeInput() throws {
        try input.withLock {
            try $0?.close()
            $0 = nil
        }
    }

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

/// Held while a pipe is made and while a program is started, so that no program starts between a pipe and its
/// close-on-exec flags.
private let starting = Mutex(())

/// A pipe whose ends no other program inherits.
private struct OpenPipe {
    let reading: Int32
    let writing: Int32

    init() throws {
        var ends: [Int32] = [-1, -1]
        let isOpen = starting.withLock { _ in
            pipe(&ends) == 0 && ends.allSatisfy { fcntl($0, F_SETFD, FD_CLOEXEC) == 0 }
        }
        guard isOpen else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
        (reading, writing) = (ends[0], ends[1])
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
