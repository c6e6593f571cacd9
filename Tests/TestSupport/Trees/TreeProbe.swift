// SPDX-License-Identifier: Apache-2.0

import Foundation

/// One copy in a process of its own, so that its memory can be told from that of everything else.
public struct TreeProbe: Sendable {
    /// The digest, or the code of the error.
    public let outcome: String
    /// The most memory the process had, in MiB.
    public let peak: Int
    /// How many entries there are.
    public let entries: Int

    /// Reads, or copies, a tree; the arguments are those of Tests/TreeProbe.
    public init(_ arguments: String...) throws {
        let here = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let program = URL(filePath: here).deletingLastPathComponent().appending(path: "TreeProbe").path
        let words = try Command.run(program, arguments).split { $0 == " " || $0 == "\n" }
        outcome = words.first.map(String.init) ?? ""
        peak = (words.count > 1 ? Int(words[1]) ?? .max : .max) / 1_024
        entries = words.count > 2 ? Int(words[2]) ?? 0 : 0
    }
}
