// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
import TestSupport
import Testing

/// Removals of what a container can make to stay: all of it goes, and what cannot is named.
@Suite(.tags(.host), .limited, .host(.root))
struct StubbornRemovalTests {
    let disk: LoopFileSystem

    init() throws { disk = try LoopFileSystem(.btrfs, megabytes: 120) }

    private func remove(_ name: String) async -> LXCError? {
        await error { try await LocalTree(disk(name)).remove() }
    }

    @Test func readOnlySubvolumesGo() async throws {
        try disk.shell(
            """
            mkdir -p tree/d; cd tree; echo x > d/f; btrfs -q subvolume create a; echo x > a/f; chattr +i a/f
            btrfs -q subvolume snapshot -r a ro; btrfs -q subvolume create d/outer; btrfs -q subvolume create d/outer/inner
            echo x > d/outer/inner/f; btrfs property set d/outer/inner ro true; btrfs property set d/outer ro true
            """)
        #expect(await remove("tree") == nil)
        #expect(try disk.shell("ls -A; btrfs subvolume list .") == "")
    }

    @Test func aTreeThatIsAReadOnlySubvolumeGoes() async throws {
        try disk.shell(
            """
            btrfs -q subvolume create tree; btrfs -q subvolume create tree/inner; mkdir tree/d; echo x > tree/d/f
            echo x > tree/inner/f; btrfs property set tree ro true
            """)
        #expect(await remove("tree") == nil)
        #expect(try disk.list() == "")
    }

    /// The default subvolume is the one thing btrfs keeps from root.
    @Test func whatCannotBeRemovedIsNamedAndTheRestGoes() async throws {
        try disk.shell(
            """
            mkdir -p tree/a/b tree/z; for i in 1 2 3; do echo x > tree/a/$i; echo x > tree/z/$i; echo x > tree/a/b/$i; done
            btrfs -q subvolume create tree/a/b/kept; echo x > tree/a/b/kept/f; btrfs subvolume set-default tree/a/b/kept
            """)
        let failure = await remove("tree")
        #expect(failure?.message.contains("a/b/kept") == true, "\(String(describing: failure))")
        #expect(try disk.shell("find tree | sort") == "tree\ntree/a\ntree/a/b\ntree/a/b/kept")
        try disk.shell("btrfs subvolume set-default 5 .")
        #expect(await remove("tree") == nil)
        #expect(try disk.list() == "")
    }
}
