// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
import TestSupport
import Testing

@Suite(.tags(.host), .limited, .host(.root))
struct TreeManifestTests {
    let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    private func manifest(_ name: String) async throws -> TreeManifest {
        var options = TreeCopyOptions()
        options.keepsManifest = true
        let summary = try await TreeCopy.examine(scratch.tree(name), options: options)
        let manifest = try #require(summary.manifest)
        #expect(manifest.digest == summary.digest)
        return manifest
    }

    @Test func itsTextKeepsEveryName() async throws {
        try TreeFixture.make("tree", in: scratch)
        try scratch.shell("printf x > 'tree/back\\slash'; mkdir 'tree/n\\n'")
        let manifest = try await manifest("tree")
        #expect(try TreeManifest(parsing: manifest.text) == manifest)
        #expect(manifest.differences(from: manifest).isEmpty)
    }

    @Test func differencesAreNamed() async throws {
        try TreeFixture.make("tree", in: scratch)
        let before = try await manifest("tree")
        try scratch.shell(
            """
            cd tree; printf HELLO > plain; touch -d '2001-02-03 04:05:06.123456789' plain
            rm fifo; mkfifo -m 0600 pipe; chmod 0700 sticky; ln -sfn elsewhere dangling
            touch -d '2020-01-01 00:00:00.000000001' .
            """)
        let differences = try await manifest("tree").differences(from: before)
        #expect(
            differences.map(\.description)
                == ["changed dangling", "missing fifo", "added pipe", "changed plain", "changed sticky"])
    }

    @Test func namesOfOneFileBelongTogether() async throws {
        try scratch.shell("mkdir tree; printf x > tree/a; ln tree/a tree/b; touch -d @5 tree/a tree")
        let before = try await manifest("tree")
        try scratch.shell("cp -p tree/b tree/c; mv tree/c tree/b; touch -d @5 tree")
        #expect(try await manifest("tree").differences(from: before).map(\.description) == ["changed b"])
    }

    @Test(arguments: [
        "", "lxc-tree-digest 1", "lxc-tree-digest 2\n", "lxc-tree-digest 1\nxyz a\n", "lxc-tree-digest 1\n\n\n",
        "lxc-tree-digest 1\n" + String(repeating: "0", count: 64) + " ../a\n",
        "lxc-tree-digest 1\n" + String(repeating: "0", count: 64) + " a\\x\n",
        "lxc-tree-digest 1\n" + String(repeating: "0", count: 64) + " a//b\n",
        "lxc-tree-digest 1\n" + String(repeating: String(repeating: "0", count: 64) + " a\n", count: 2),
    ])
    func otherTextIsRefused(text: String) async throws {
        let code = await codeThrown { try TreeManifest(parsing: Array(text.utf8)) }
        // Blank lines are no lines.
        #expect(code == (text.hasSuffix("\n\n") ? nil : .corrupt))
    }
}
