// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
import TestSupport
import Testing

/// Paths as archives write them: most need nothing but their ends trimmed, which takes a short way.
struct TreePathTests {
    @Test(arguments: [
        ("a", "a"), ("./a", "a"), ("a/", "a"), ("./a/b/", "a/b"), ("././a", "a"), ("a//b", "a/b"), ("a/./b", "a/b"),
        ("a/.", "a"), (".", ""), ("./", ""), ("./.", ""), (".//a", "a"), ("a//", "a"), (".a", ".a"), ("./.a", ".a"),
        ("a/.b", "a/.b"), ("..a/b", "..a/b"), ("...", "..."), ("a/.../b", "a/.../b"), ("a./b.", "a./b."),
        ("a..", "a.."),
    ])
    func pathsAreCleaned(raw: String, cleaned: String) throws {
        #expect(try TreePath(raw).bytes == Array(cleaned.utf8))
    }

    @Test(arguments: [
        "", "/", "/a", "//a", "..", "../a", "a/..", "a/../b", "./..", "a\u{0}", "\u{0}/a", "a/\u{0}", "./a/../",
    ])
    func pathsThatLeadOutAreUnsafe(raw: String) {
        expect(.unsafe) { try TreePath(raw) }
    }

    /// The rules, one component at a time; nil where a path is refused.
    private static func cleaned(_ raw: [UInt8]) -> [UInt8]? {
        let components = raw.split(separator: UInt8(ascii: "/")).filter { !$0.elementsEqual(".".utf8) }
        guard !raw.isEmpty, raw.first != UInt8(ascii: "/"), !raw.contains(0),
            !components.contains(where: { $0.elementsEqual("..".utf8) })
        else { return nil }
        return Array(components.joined(separator: [UInt8(ascii: "/")]))
    }

    @Test func everyPathOfFewLettersFollowsTheRules() throws {
        let letters: [UInt8] = [UInt8(ascii: "."), UInt8(ascii: "/"), UInt8(ascii: "a"), 0]
        var paths: [[UInt8]] = [[]]
        for _ in 0..<6 {
            for path in paths {
                let made = try? TreePath(path).bytes
                #expect(made == Self.cleaned(path), "\(path)")
            }
            paths = paths.flatMap { path in letters.map { path + [$0] } }
        }
    }
}
