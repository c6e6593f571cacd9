// SPDX-License-Identifier: Apache-2.0

import CLinux
import FileTree
import Foundation
import Glibc
import LXCCore
import Synchronization
import TestSupport
import Testing

/// Trees cloned while somebody changes them, who may be a guest that wants the clone to hold what is not his.
@Suite(.tags(.host), .limited, .host(.root), .serialized)
struct ChangingSourceTests {
    private static let clones = 15
    private static let canary = "CANARY-THAT-IS-OUTSIDE"

    let scratch: ScratchDirectory

    init() throws {
        scratch = try ScratchDirectory()
        try scratch.shell(
            """
            mkdir -p outside/sub; for f in file 1 2 3 4 sub/file sub/1; do printf '\(Self.canary)' > outside/$f; done
            mkdir source; cd source
            for d in $(seq 8); do
                mkdir -p $d/sub
                for f in file 1 2 3 4 sub/file sub/1; do printf "inside $d $f" > $d/$f; done
                head -c 300000 /dev/zero | tr '\\\\0' x > $d/large; ln $d/1 $d/sub/hard
            done
            """)
    }

    /// Clones again and again while `change` is called, and looks at what came of it.
    private func clone(
        digest: Bool = true, whileChanging change: @escaping @Sendable (_ source: String, inout SeededRandom) -> Void
    ) async throws {
        let (outside, names) = (try describeOutside(), try scratch.shell("ls -A"))
        let (source, seed) = (scratch("source"), UInt64(digest ? 1 : 2))
        let changer = Changer {
            var random = SeededRandom(seed: seed)
            return { change(source, &random) }
        }
        defer { changer.stop() }
        var options = TreeCopyOptions()
        options.computesDigest = digest
        options.durable = false
        for _ in 0..<Self.clones {
            do {
                _ = try await TreeCopy.run(from: scratch.tree("source"), to: scratch.tree("clone"), options: options)
                #expect(try scratch.shell("grep -rlF '\(Self.canary)' clone || true").isEmpty)
                try await scratch.tree("clone").remove()
            } catch let error as LXCError {
                #expect(!error.message.isEmpty)
            }
            #expect(try scratch.shell("ls -A") == names)
        }
        changer.stop()
        #expect(changer.rounds > Self.clones, "it hardly changed anything")
        #expect(try describeOutside() == outside)
    }

    /// Access times are left out: looking is allowed to whoever changes the tree.
    private func describeOutside() throws -> String {
        try scratch.shell("find outside -printf '%P %y %m %U %G %T@ %C@ %s %n\\n' | sort; cat outside/* 2>&1 || true")
    }

    @Test(arguments: [true, false]) func filesBecomeLinksToTheOutside(digest: Bool) async throws {
        try await clone(digest: digest) { source, random in
            let name = "\(source)/\(Int.random(in: 1...8, using: &random))"
            let file = "\(name)/\(["file", "2", "3", "sub/file"].randomElement(using: &random) ?? "4")"
            // Names change places at once, as a guest would do it to hit between a look and an open.
            symlink("../../outside/file", "\(name)/link")
            rename("\(name)/link", file)
            write("inside", to: "\(name)/new")
            rename("\(name)/new", file)
        }
    }

    @Test(arguments: [true, false]) func directoriesBecomeLinksToTheOutside(digest: Bool) async throws {
        try await clone(digest: digest) { source, random in
            let name = "\(source)/\(Int.random(in: 1...8, using: &random))"
            let directory = Bool.random(using: &random) ? name : "\(name)/sub"
            rename(directory, "\(directory).away")
            symlink(directory == name ? "../outside" : "../../outside/sub", directory)
            sched_yield()
            unlink(directory)
            rename("\(directory).away", directory)
        }
    }

    @Test(arguments: [true, false]) func directoriesMoveOutAndIn(digest: Bool) async throws {
        try scratch.shell("mkdir parking")
        let parking = scratch("parking")
        try await clone(digest: digest) { source, random in
            let number = Int.random(in: 1...8, using: &random)
            let directory = "\(source)/\(number)/sub"
            rename(directory, "\(parking)/\(number)")
            sched_yield()
            rename("\(parking)/\(number)", directory)
            rename(directory, "\(source)/\(number % 8 + 1)/sub2")
            rename("\(source)/\(number % 8 + 1)/sub2", directory)
        }
    }

    @Test(arguments: [true, false]) func filesGrowShrinkAndChangeTheirKind(digest: Bool) async throws {
        try await clone(digest: digest) { source, random in
            let name = "\(source)/\(Int.random(in: 1...8, using: &random))"
            switch Int.random(in: 0..<6, using: &random) {
            case 0: truncate("\(name)/large", off_t(Int.random(in: 0...600_000, using: &random)))
            case 1:
                unlink("\(name)/4")
                mkfifo("\(name)/4", 0o600)
            case 2:
                unlink("\(name)/4")
                write("inside again", to: "\(name)/4")
            case 3:
                unlink("\(name)/sub/hard")
                link("\(name)/1", "\(name)/sub/hard")
            case 4:
                unlink("\(name)/3")
                mkdir("\(name)/3", 0o755)
                rmdir("\(name)/3")
                write("inside again", to: "\(name)/3")
            default:
                let value = [UInt8](repeating: 0x78, count: Int.random(in: 1...200, using: &random))
                _ = clinux_lsetxattr("\(name)/large", "user.note", value, value.count)
                chmod("\(name)/2", mode_t(Int.random(in: 0...0o777, using: &random)))
            }
        }
    }
}
