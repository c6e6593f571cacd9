// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Runs scripts for tests that compare with what the system's own tools do.
public enum TreeShell {
    /// A script that failed.
    public struct Failure: Error, CustomStringConvertible {
        /// What it printed.
        public let description: String
    }

    /// Runs a script with bash, stopping at its first failure; its output without the last newline.
    @discardableResult public static func run(_ script: String) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/bash")
        process.arguments = ["-ec", script]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw Failure(description: script + "\n" + text) }
        return text.hasSuffix("\n") ? String(text.dropLast()) : text
    }
}
