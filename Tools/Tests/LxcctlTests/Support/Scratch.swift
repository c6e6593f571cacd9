// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc

/// A directory for one test, removed with everything in it when the last reference goes.
final class Scratch: Sendable {
    /// Its absolute path, without symbolic links.
    let path: String

    /// Makes a new empty directory that an unprivileged container's root can pass through.
    init() throws {
        path = "/var/tmp/lxcctl-\(String(UInt64.random(in: 0 ... .max), radix: 16))"
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o711])
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// The path of something below.
    subscript(name: String) -> String { "\(path)/\(name)" }

    /// Writes a file below and returns its path.
    @discardableResult
    func write(_ text: String, to name: String) throws -> String {
        try Data(text.utf8).write(to: URL(filePath: self[name]))
        return self[name]
    }

    /// Makes a directory below, with its parents, and returns its path.
    @discardableResult
    func makeDirectory(_ name: String) throws -> String {
        try FileManager.default.createDirectory(atPath: self[name], withIntermediateDirectories: true)
        return self[name]
    }

    /// Whether there is anything of that name below; a dangling symbolic link is something.
    func exists(_ name: String) -> Bool {
        var status = stat()
        return lstat(self[name], &status) == 0
    }

    /// The names in a directory below, hidden ones too, sorted.
    func list(_ name: String = "") -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: self[name])) ?? []).sorted()
    }
}
