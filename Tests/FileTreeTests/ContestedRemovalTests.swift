// SPDX-License-Identifier: Apache-2.0

import FileTree
import Foundation
import Glibc
import LXCCore
import TestSupport
import Testing

/// Removals of trees that somebody defends, changes, or has open.
@Suite(.tags(.host), .limited, .host(.root))
struct ContestedRemovalTests {
    let scratch: ScratchDirectory

    init() throws {
        scratch = try ScratchDirectory()
        try scratch.shell("mkdir -p outside/sub; printf keep > outside/file; printf keep > outside/sub/file")
    }

    private func describeOutside() throws -> String {
        try scratch.shell("find outside -printf '%P %y %m %U %G %T@ %C@ %s %n\\n' | sort")
    }

    /// Removes `tree` while `change` is called, until it is gone.
    private func remove(
        seed: UInt64, whileChanging change: @escaping @Sendable (_ tree: String, inout SeededRandom) -> Void
    ) async throws {
        let tree = scratch("tree")
        let changer = Changer {
            var random = SeededRandom(seed: seed)
            return { change(tree, &random) }
        }
        do {
            try await scratch.tree("tree").remove()
        } catch let error as LXCError {
            #expect(!error.message.isEmpty)
        }
        changer.stop()
        // What was added or moved away behind the removal's back is left to the next one.
        try await scratch.tree("tree").remove()
    }

    @Test func directoriesThatBecomeLinksLeadNowhere() async throws {
        let outside = try describeOutside()
        for seed in 1...10 as ClosedRange<UInt64> {
            try scratch.shell("mkdir -p tree/{1..8}/sub; touch tree/{1..8}/{f,sub/f}")
            try await remove(seed: seed) { tree, random in
                let name = "\(tree)/\(Int.random(in: 1...8, using: &random))"
                let directory = Bool.random(using: &random) ? name : "\(name)/sub"
                guard rename(directory, "\(directory).away") == 0 else { return }
                symlink(directory == name ? "../outside" : "../../outside/sub", directory)
                sched_yield()
                unlink(directory)
                rename("\(directory).away", directory)
            }
            #expect(try scratch.shell("ls -A") == "outside")
            #expect(try describeOutside() == outside)
        }
    }

    /// A directory that is moved out of the tree while it is emptied takes nobody else's files with it. With a hundred
    /// levels not all directories are open, and the way up has to be found again.
    @Test(arguments: [4, 100]) func directoriesThatMoveAwayTakeNothingWithThem(depth: Int) async throws {
        let outside = try describeOutside()
        let parking = scratch("parking")
        let below = String(repeating: "/d", count: depth)
        for seed in 1...10 as ClosedRange<UInt64> {
            try scratch.shell(
                """
                mkdir tree parking; printf keep > parking/file; printf keep > parking/f
                mkdir -p tree/{1..8}\(below); touch tree/{1..8}\(below)/f tree/{1..8}/d/d/f
                """)
            try await remove(seed: seed) { tree, random in
                let number = Int.random(in: 1...8, using: &random)
                let moved = String(repeating: "/d", count: Int.random(in: 1...depth, using: &random))
                rename("\(tree)/\(number)\(moved)", "\(parking)/\(number)")
            }
            #expect(try scratch.shell("cat parking/file parking/f") == "keepkeep")
            #expect(try scratch.shell("ls -A") == "outside\nparking")
            try scratch.shell("rm -r parking")
        }
        #expect(try describeOutside() == outside)
    }

    @Test func namesAddedMeanwhileGoToo() async throws {
        for seed in 1...10 as ClosedRange<UInt64> {
            try scratch.shell("mkdir -p tree/{1..8}/sub; touch tree/{1..8}/f")
            try await remove(seed: seed) { tree, random in
                let number = Int.random(in: 1...8, using: &random)
                write("more", to: "\(tree)/\(number)/\(Int.random(in: 1...1_000, using: &random))")
                mkdir("\(tree)/\(number)/sub/\(Int.random(in: 1...1_000, using: &random))", 0o700)
            }
            #expect(try scratch.shell("ls -A") == "outside")
        }
    }

    @Test func protectionAtEveryLevelIsTakenAway() async throws {
        try scratch.shell(
            """
            mkdir -p tree/a/b/c; : > tree/a/b/c/f; : > tree/a/f; ln -s f tree/a/link; mkfifo tree/a/fifo; ln tree/a/f tree/a/h
            chattr +i tree/a/b/c/f; chattr +a tree/a/b/c; chattr +i tree/a/b; chattr +a tree/a/f; chattr +ai tree/a tree
            """)
        try await scratch.tree("tree").remove()
        #expect(try scratch.shell("ls -A") == "outside")
    }

    /// The refusal comes first, so that protection is as it was.
    @Test func refusalChangesNoProtection() async throws {
        try scratch.shell("mkdir -p tree/a/mnt tree/b; : > tree/b/f; chattr +i tree/b/f tree/b; chmod 0 tree/a")
        try scratch.shell("mount -t tmpfs none tree/a/mnt; : > tree/a/mnt/file")
        defer { _ = try? scratch.shell("umount tree/a/mnt; chattr -i tree/b tree/b/f") }
        await expect(.inUse) { try await self.scratch.tree("tree").remove() }
        #expect(try scratch.shell("lsattr -d tree/b tree/b/f | grep -c '^....i'; stat -c %a tree/a") == "2\n0")
        #expect(try scratch.shell("ls tree/a/mnt") == "file")
    }

    @Test func mountOfTheSameFileSystemIsRefusedToo() async throws {
        try scratch.shell("mkdir -p tree/a/bind; : > tree/f; mount --bind outside tree/a/bind")
        defer { _ = try? scratch.shell("umount tree/a/bind") }
        await expect(.inUse) { try await self.scratch.tree("tree").remove() }
        #expect(try scratch.shell("cat outside/file outside/sub/file; ls -A tree") == "keepkeepa\nf")
    }

    /// Mounted between the look for mounts and the removal: what is mounted stays whole.
    @Test func mountThatComesMeanwhileStaysWhole() async throws {
        let outside = try describeOutside()
        for _ in 0..<10 {
            try scratch.shell("mkdir -p tree/{1..200}/mnt; touch tree/{1..200}/mnt/f")
            let (mountPoint, victim) = (scratch("tree/100/mnt"), scratch("outside"))
            let changer = Changer {
                {
                    if mount(victim, mountPoint, "", UInt(MS_BIND), nil) == 0 {
                        sched_yield()
                        umount2(mountPoint, CInt(MNT_DETACH))
                    }
                }
            }
            let failure = await error { try await self.scratch.tree("tree").remove() }
            changer.stop()
            #expect(failure == nil || failure?.code == .inUse, "\(String(describing: failure))")
            #expect(try describeOutside() == outside)
            try await scratch.tree("tree").remove()
        }
    }

    @Test func cancelledRemovalIsFinishedByTheNext() async throws {
        try scratch.shell("mkdir -p tree/{1..300}; touch tree/{1..300}/{1..30}")
        let before = try #require(Int(scratch.shell("find tree | wc -l")))
        let tree = scratch.tree("tree")
        let removal = Task { try await tree.remove() }
        // Sleeping gives the thread away: the removal may need it to begin.
        while try Int(scratch.shell("ls tree | wc -l")) == 300 { try await Task.sleep(for: .milliseconds(1)) }
        removal.cancel()
        let result = await removal.result
        if case .failure(let error) = result {
            #expect(error is CancellationError)
            #expect(try #require(Int(scratch.shell("find tree | wc -l"))) < before)
        }
        try await tree.remove()
        #expect(try scratch.shell("ls -A") == "outside")
    }

    @Test func treeOnAReadOnlyFileSystemIsNamed() async throws {
        let readOnly = try LoopFileSystem(.ext4, megabytes: 16)
        try readOnly.shell("mkdir -p tree/a; : > tree/a/f; mount -o remount,ro .")
        let failure = await error { try await LocalTree(readOnly("tree")).remove() }
        #expect(failure?.code == .permissionDenied, "\(String(describing: failure))")
        #expect(try readOnly.shell("ls tree/a") == "f")
    }
}
