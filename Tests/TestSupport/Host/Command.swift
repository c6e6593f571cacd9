// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A program of the host, run to its end.
public enum Command {
    /// It ended with another status than 0.
    public struct Failure: Error {
        /// The program and its arguments.
        public var command: [String]
        /// Its exit status.
        public var status: Int32
    }

    /// Runs a program by its absolute path and returns what it writes.
    @discardableResult
    public static func run(_ path: String, _ arguments: String...) throws -> String { try run(path, arguments) }

    /// Runs a program by its absolute path and returns what it writes.
    @discardableResult
    public static func run(_ path: String, _ arguments: [String]) throws -> String {
        let process = Process()
        let output = Pipe()
        // The thread this runs on may block signals that the program needs, as ping needs SIGALRM to end.
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["--default-signal", path] + arguments
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        let bytes = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Failure(command: [path] + arguments, status: process.terminationStatus)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
