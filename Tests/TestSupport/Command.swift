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
    public static func run(_ path: String, _ arguments: String...) throws -> String {
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(filePath: path)
        process.arguments = arguments
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
