public import FileTree
import Foundation
import LXCCore

/// A directory for one test, removed when the test lets go of it.
public final class TreeScratch: Sendable {
    /// The directory's path.
    public let path: String

    /// Makes the directory.
    public init() throws {
        path = NSTemporaryDirectory() + "lxc-tree-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    }

    deinit { _ = try? TreeShell.run("rm -rf -- '\(path)'") }

    /// The path of a name in the directory.
    public func callAsFunction(_ name: String) -> String { path + "/" + name }

    /// The tree of a name in the directory.
    public func tree(_ name: String) -> LocalTree { LocalTree(self(name)) }

    /// Writes a file in the directory and returns its path.
    public func write(_ bytes: [UInt8], to name: String) throws -> String {
        try Data(bytes).write(to: URL(fileURLWithPath: self(name)))
        return self(name)
    }

    /// The bytes of a file in the directory.
    public func read(_ name: String) throws -> [UInt8] { try Array(Data(contentsOf: URL(fileURLWithPath: self(name)))) }

    /// Runs a script in the directory; its output without the last newline.
    @discardableResult public func shell(_ script: String) throws -> String {
        try TreeShell.run("cd '\(path)' && { \(script)\n}")
    }
}

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
