// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
import TestSupport
import Testing

/// Clones on btrfs, where a tree is a subvolume and its clone a snapshot.
@Suite(.tags(.host), .limited, .host(.root))
struct BtrfsTests {
    let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    /// Makes a btrfs at `mnt` for the time of `body`.
    private func onBtrfs(_ body: () async throws -> Void) async throws {
        try scratch.shell("truncate -s 400M image; mkfs.btrfs -q image; mkdir mnt; mount -o loop image mnt")
        let result: Result<Void, any Error>
        do { result = .success(try await body()) } catch { result = .failure(error) }
        try scratch.shell("umount mnt")
        try result.get()
    }

    private func clone(
        _ source: String, to clone: String, _ change: (inout TreeCopyOptions) -> Void = { _ in }
    ) async throws -> TreeSummary {
        var options = TreeCopyOptions()
        change(&options)
        return try await TreeCopy.run(from: scratch.tree(source), to: scratch.tree(clone), options: options)
    }

    @Test func aCloneIsASnapshotAndLeavesNoTrace() async throws {
        try await onBtrfs {
            try TreeFixture.make("source", in: scratch)
            let first = try await clone("source", to: "mnt/first")
            #expect(first.strategy == "write")
            let second = try await clone("mnt/first", to: "mnt/second")
            #expect(second.strategy == "snapshot")
            #expect(second.digest == first.digest)
            #expect(second.counts == first.counts)
            let third = try await clone("mnt/first", to: "mnt/third") { $0.computesDigest = false }
            #expect(third.strategy == "snapshot")
            #expect(third.counts.total == 0)
            for name in ["mnt/second", "mnt/third"] {
                #expect(try TreeFixture.describe("source", in: scratch) == TreeFixture.describe(name, in: scratch))
            }
            try scratch.shell("printf other > mnt/first/plain")
            #expect(try scratch.read("mnt/second/plain") == Array("hello".utf8))
            for name in ["first", "second", "third"] { try await scratch.tree("mnt/\(name)").remove() }
            #expect(try scratch.shell("ls -A mnt; btrfs subvolume list mnt") == "")
        }
    }

    @Test func ownersOfASnapshotAreMappedInPlace() async throws {
        let map = try IDMap(host: 200_000, count: 65_536)
        try await onBtrfs {
            try TreeFixture.make("source", in: scratch)
            _ = try await clone("source", to: "mnt/source")
            let mapped = try await clone("mnt/source", to: "mnt/mapped") { $0.destinationMap = map }
            #expect(mapped.strategy == "snapshot")
            let copied = try await clone("source", to: "copied") { $0.destinationMap = map }
            #expect(mapped.digest == copied.digest)
            #expect(try TreeFixture.describe("copied", in: scratch) == TreeFixture.describe("mnt/mapped", in: scratch))
            #expect(
                try TreeFixture.describe("source", in: scratch) == TreeFixture.describe("mnt/source", in: scratch))
        }
    }

    @Test func anOwnerOutsideTheMapLeavesNothing() async throws {
        let map = try IDMap(host: 200_000, count: 10)
        try await onBtrfs {
            try TreeFixture.make("source", in: scratch)
            _ = try await clone("source", to: "mnt/source")
            await expect(.invalidArgument) {
                try await clone("mnt/source", to: "mnt/mapped") { $0.destinationMap = map }
            }
            #expect(try scratch.shell("ls -A mnt") == "source")
        }
    }

    @Test func whatASnapshotWouldLeaveOutIsCloned() async throws {
        try await onBtrfs {
            try scratch.shell("btrfs -q subvolume create mnt/source; btrfs -q subvolume create mnt/source/inner")
            try scratch.shell("printf x > mnt/source/inner/file")
            let clone = try await clone("mnt/source", to: "mnt/clone")
            #expect(clone.strategy == "reflink")
            #expect(try scratch.read("mnt/clone/inner/file") == Array("x".utf8))
            await expect(.unsupported) { try await self.clone("mnt/source", to: "mnt/no") { $0.strategy = .snapshot } }
            try await scratch.tree("mnt/source").remove()
            #expect(try scratch.shell("ls -A mnt") == "clone")
        }
    }

    @Test func aSnapshotIsRefusedElsewhere() async throws {
        try scratch.shell("mkdir source")
        await expect(.unsupported) { try await clone("source", to: "clone") { $0.strategy = .snapshot } }
        #expect(try scratch.shell("ls -A") == "source")
    }
}
