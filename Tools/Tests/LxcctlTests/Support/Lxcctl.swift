// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// The built tool, which is beside the test's own executable.
enum Lxcctl {
    static let path: String = {
        let here = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return URL(filePath: here).deletingLastPathComponent().appending(path: "lxcctl").path
    }()

    /// Runs it to its end.
    static func run(_ arguments: [String], environment: [String: String] = [:]) async throws -> Outcome {
        try await RunningProgram(path, arguments, environment: environment).outcome()
    }

    static func run(_ arguments: String...) async throws -> Outcome { try await run(arguments) }

    /// Runs it on a terminal of its own and returns everything the terminal got; `input` is a shell command whose output
    /// is typed.
    static func runOnTerminal(_ arguments: [String], typing input: String = "true") async throws -> Outcome {
        let command = ([path] + arguments).map { "'\($0)'" }.joined(separator: " ")
        let line = "{ \(input); } | /usr/bin/script -qec \"\(command)\" /dev/null"
        return try await RunningProgram("/bin/sh", ["-c", line]).outcome()
    }

    /// Runs it and holds it to the contract of a failure: status 1, nothing on stdout, and on stderr one line for people
    /// that names each of `words`.
    @discardableResult
    static func fails(
        _ arguments: [String], naming words: [String] = [], _ location: SourceLocation = #_sourceLocation
    ) async throws -> Outcome {
        let outcome = try await run(arguments)
        outcome.expectFailure(naming: words, location)
        return outcome
    }
}

extension Outcome {
    /// Status 1, nothing on stdout, one line on stderr that names each of `words`.
    func expectFailure(naming words: [String] = [], _ location: SourceLocation = #_sourceLocation) {
        #expect(status == 1, "\(stdout)\(stderr)", sourceLocation: location)
        #expect(stdout.isEmpty, "\(stdout)", sourceLocation: location)
        #expect(stderr.hasPrefix("lxcctl: "), "\(stderr)", sourceLocation: location)
        #expect(stderr.hasSuffix("\n"), "\(stderr)", sourceLocation: location)
        #expect(
            stderr.split(separator: "\n", omittingEmptySubsequences: false).count == 2, "\(stderr)",
            sourceLocation: location)
        let controls = stderr.unicodeScalars.dropLast().filter { $0.properties.generalCategory == .control }
        #expect(controls.isEmpty, "\(stderr)", sourceLocation: location)
        for word in words { #expect(stderr.contains(word), "\(stderr)", sourceLocation: location) }
    }

    /// Neither colours nor a cursor that moves: what a pipe gets is text.
    func expectPlainText(_ location: SourceLocation = #_sourceLocation) {
        for text in [stdout, stderr] {
            let controls = text.unicodeScalars.filter { $0.properties.generalCategory == .control && $0 != "\n" }
            #expect(controls.isEmpty, "\(text)", sourceLocation: location)
        }
    }
}
