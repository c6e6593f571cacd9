// SPDX-License-Identifier: Apache-2.0

public import FileTree
import Foundation
import Glibc
import LXCCore

/// A directory for one test, removed with everything in it when the last reference goes.
public final class ScratchDirectory: Sendable {
    /// Its absolute path, without symbolic links.
    public let path: String

    /// Makes a new empty directory.
    public init() throws {
        let parent = FileManager.default.temporaryDirectory.resolvingSymlinksInPath().path
        path = "\(parent)/lxc-tests-\(UUID().uuidString.lowercased())"
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o755])
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
        // rm(1) also removes names that are not UTF-8, and trees deeper than PATH_MAX.
        if access(path, F_OK) == 0 { _ = try? TreeShell.run("rm -rf -- '\(path)'") }
    }

    /// The path of something below.
    public subscript(name: String) -> String { "\(path)/\(name)" }

    /// The path of something below.
    public func callAsFunction(_ name: String) -> String { self[name] }

    /// The tree of something below.
    public func tree(_ name: String) -> LocalTree { LocalTree(self[name]) }

    /// Writes a file below, making its directories; returns its path.
    @discardableResult public func write(_ text: String, to name: String) throws -> String {
        try write(Array(text.utf8), to: name)
    }

    /// Writes a file below, making its directories; returns its path.
    @discardableResult public func write(_ bytes: [UInt8], to name: String) throws -> String {
        let url = URL(filePath: self[name])
        try FileManager.default.createDirectory(
            at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(bytes).write(to: url)
        return self[name]
    }

    /// The bytes of a file below.
    public func read(_ name: String) throws -> [UInt8] {
        try Array(Data(contentsOf: URL(filePath: self[name])))
    }

    /// Makes a directory below, with its parents.
    public func makeDirectory(_ name: String) throws {
        try FileManager.default.createDirectory(atPath: self[name], withIntermediateDirectories: true)
    }

    /// Whether there is anything of that name below; a dangling symbolic link is something.
    public func exists(_ name: String) -> Bool {
        var status = stat()
        return lstat(self[name], &status) == 0
    }

    /// The names in a directory below, sorted; none where there is no such directory.
    public func list(_ name: String = "") -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: self[name])) ?? []).sorted()
    }

    /// Runs a script in the directory; its output without the last newline.
    @discardableResult public func shell(_ script: String) throws -> String {
        try TreeShell.run("cd '\(path)' && { \(script)\n}")
    }
}
