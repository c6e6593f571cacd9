// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
import TestSupport
import Testing

@Suite(.tags(.host), .limited, .host(.root))
struct LocalTreeRemoveTests {
    let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    @Test func everythingGoesAndNothingElse() async throws {
        try TreeFixture.make("tree", in: scratch)
        try scratch.shell("mkdir victim; printf keep > victim/file; ln -s ../victim tree/out; ln victim/file tree/hard")
        try await scratch.tree("tree").remove()
        #expect(try scratch.shell("ls -A; cat victim/file") == "victim\nkeep")
        try await scratch.tree("tree").remove()
        try await scratch.tree("no/such/place").remove()
    }

    @Test func symbolicLinkItselfIsRemoved() async throws {
        try scratch.shell("mkdir victim; printf keep > victim/file; ln -s victim link")
        try await scratch.tree("link").remove()
        #expect(try scratch.shell("ls -A; cat victim/file") == "victim\nkeep")
    }

    @Test func mountInsideIsRefusedBeforeAnythingGoes() async throws {
        try scratch.shell(
            "mkdir -p tree/a/mnt tree/z; for i in $(seq 50); do : > tree/$i; done; mount -t tmpfs none tree/a/mnt")
        defer { _ = try? scratch.shell("umount tree/a/mnt") }
        let refused = await expect(.inUse) { try await self.scratch.tree("tree").remove() }
        #expect(refused?.message.contains("a/mnt") == true)
        #expect(try scratch.shell("ls -A tree | wc -l") == "52")
    }

    @Test func bindMountOfAFileAndOfTheTreeItselfAreRefused() async throws {
        try scratch.shell("mkdir tree; : > tree/file; : > tree/other; : > outside; mount --bind outside tree/file")
        let inside = await error { try await self.scratch.tree("tree").remove() }
        try scratch.shell("umount tree/file; mount --bind tree tree")
        let itself = await error { try await self.scratch.tree("tree").remove() }
        try scratch.shell("umount tree")
        #expect(inside?.code == .inUse)
        #expect(itself?.code == .inUse)
        #expect(try scratch.shell("ls -A tree") == "file\nother")
    }

    @Test func protectedFilesAreRemoved() async throws {
        try scratch.shell("mkdir -p tree/dir; : > tree/immutable; : > tree/append; : > tree/dir/file")
        try scratch.shell("chattr +i tree/immutable tree/dir/file; chattr +a tree/append; chattr +i tree/dir tree")
        try await scratch.tree("tree").remove()
        #expect(try scratch.shell("ls -A").isEmpty)
    }

    @Test func treeThatChangesMeanwhileIsRemoved() async throws {
        try scratch.shell("mkdir tree; cd tree; for i in $(seq 2000); do mkdir -p $((i % 20))/$i; done")
        async let other: Void = scratch.tree("tree").remove()
        async let one: Void = scratch.tree("tree").remove()
        _ = try await (one, other)
        #expect(try scratch.shell("ls -A").isEmpty)
    }
}

/// What every user may do with his own files.
@Suite(.limited)
struct OwnTreeRemoveTests {
    @Test func directoriesThatShutTheirOwnerOutAreRemoved() async throws {
        let scratch = try ScratchDirectory()
        try scratch.shell("mkdir -p t/a/b t/c; : > t/a/b/f; : > t/c/f; chmod 0 t/a/b; chmod 0500 t/c t; chmod 0 t")
        try await scratch.tree("t").remove()
        #expect(try scratch.shell("ls -A").isEmpty)
    }
}
