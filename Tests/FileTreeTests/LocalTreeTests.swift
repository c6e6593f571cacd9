// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
import LinuxSystem
import TestSupport
import Testing

@Suite(.tags(.host), .limited, .host(.root))
struct LocalTreeTests {
    let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    @Test(arguments: PathResolution.allCases)
    func cloneKeepsEverything(resolution: PathResolution) async throws {
        try TreeFixture.make("source", in: scratch)
        let clone = LocalTree(scratch("clone"), resolution: resolution)
        var options = TreeCopyOptions()
        options.lossless = true
        let summary = try await TreeCopy.run(from: scratch.tree("source"), to: clone, options: options)
        #expect(try TreeFixture.describe("source", in: scratch) == TreeFixture.describe("clone", in: scratch))
        #expect(summary.digest == (try await TreeCopy.examine(scratch.tree("clone")).digest))
        #expect(summary.counts.hardLinks == 2)
        #expect(summary.counts.devices == 2)
        #expect(summary.counts.fifos == 1)
        #expect(summary.counts.symbolicLinks == 3)
        #expect(summary.allocatedBytes < summary.logicalBytes)
        #expect(try scratch.shell("ls -A") == "clone\nsource")
    }

    @Test(arguments: TreeCopyOptions.Strategy.allCases.filter { $0 == .auto || $0 == .copy })
    func cloneWithoutDigestKeepsEverything(strategy: TreeCopyOptions.Strategy) async throws {
        try TreeFixture.make("source", in: scratch)
        var options = TreeCopyOptions()
        options.computesDigest = false
        options.strategy = strategy
        let summary = try await TreeCopy.run(from: scratch.tree("source"), to: scratch.tree("clone"), options: options)
        #expect(summary.digest == nil)
        #expect(["copy_file_range", "reflink"].contains(summary.strategy))
        #expect(try TreeFixture.describe("source", in: scratch) == TreeFixture.describe("clone", in: scratch))
    }

    @Test(arguments: [true, false]) func extentsAreSharedWhereTheFileSystemCan(digest: Bool) async throws {
        try scratch.shell("truncate -s 400M image; mkfs.xfs -q -m reflink=1 image; mkdir mnt; mount -o loop image mnt")
        defer { _ = try? scratch.shell("umount mnt") }
        try TreeFixture.make("mnt/source", in: scratch)
        var options = TreeCopyOptions()
        options.strategy = .reflink
        options.computesDigest = digest
        let clone = scratch.tree("mnt/clone")
        let summary = try await TreeCopy.run(from: scratch.tree("mnt/source"), to: clone, options: options)
        #expect(summary.strategy == "reflink")
        #expect(try scratch.shell("filefrag -v mnt/clone/random").contains("shared"))
        #expect(try TreeFixture.describe("mnt/source", in: scratch) == TreeFixture.describe("mnt/clone", in: scratch))
        await expect(.unsupported) {
            _ = try await TreeCopy.run(
                from: self.scratch.tree("mnt/source"), to: self.scratch.tree("elsewhere"), options: options)
        }
        options.strategy = .auto
        let other = try await TreeCopy.run(from: clone, to: scratch.tree("other"), options: options)
        #expect(["write", "copy_file_range"].contains(other.strategy))
        #expect(try scratch.shell("ls -A") == "image\nmnt\nother")
    }

    @Test func treeBeyondPathMaxIsCopiedAndRemoved() async throws {
        let name = String(repeating: "d", count: 250)
        try scratch.shell(
            """
            mkdir source; cd source
            for i in $(seq 120); do mkdir \(name); cd -P ./\(name) 2>/dev/null || cd ./\(name); done
            printf bottom > file
            """)
        var options = TreeCopyOptions()
        options.limits.pathLength = 1 << 20
        for resolution in [PathResolution.automatic, .walk] {
            let clone = LocalTree(scratch("clone"), resolution: resolution)
            let summary = try await TreeCopy.run(from: scratch.tree("source"), to: clone, options: options)
            #expect(summary.counts.directories == 121)
            #expect(summary.counts.files == 1)
            #expect(summary.digest == (try await TreeCopy.examine(clone, options: options).digest))
            try await clone.remove()
            #expect(try scratch.shell("ls -A") == "source")
        }
        try await scratch.tree("source").remove()
        #expect(try scratch.shell("ls -A").isEmpty)
        await expect(.notFound) { _ = try await TreeCopy.examine(self.scratch.tree("source")) }
    }

    @Test func socketIsALoss() async throws {
        try scratch.shell(
            "mkdir source; perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local=>\"source/s\",Listen=>1)'")
        let summary = try await TreeCopy.run(from: scratch.tree("source"), to: scratch.tree("clone"))
        #expect(summary.losses.kinds["socket"]?.paths == ["s"])
        #expect(try scratch.shell("ls -A clone").isEmpty)
        var options = TreeCopyOptions()
        options.lossless = true
        await expect(.lossRefused) {
            _ = try await TreeCopy.run(
                from: self.scratch.tree("source"), to: self.scratch.tree("other"), options: options)
        }
        #expect(try scratch.shell("ls -A") == "clone\nsource")
    }

    @Test func existingDestinationIsUntouched() async throws {
        try scratch.shell("mkdir source there; printf keep > there/file")
        await expect(.alreadyExists) {
            _ = try await TreeCopy.run(from: self.scratch.tree("source"), to: self.scratch.tree("there"))
        }
        #expect(try scratch.shell("cat there/file; ls -A") == "keepsource\nthere")
    }

    @Test func destinationInsideSourceIsRefused() async throws {
        try scratch.shell("mkdir -p source/a")
        await expect(.invalidArgument) {
            _ = try await TreeCopy.run(from: self.scratch.tree("source"), to: self.scratch.tree("source/a/clone"))
        }
        #expect(try scratch.shell("ls -A source/a").isEmpty)
    }

    @Test(arguments: ["/", ".", "..", "", "x/.."]) func pathWithoutNameIsNoDestination(path: String) async throws {
        try scratch.shell("mkdir source")
        await expect(.invalidArgument) {
            _ = try await TreeCopy.run(from: self.scratch.tree("source"), to: LocalTree(path))
        }
    }

    @Test func inheritedACLDoesNotLeakIn() async throws {
        try scratch.shell("mkdir source store; printf x > source/file; setfacl -d -m u:5:rwx store; chmod 2755 store")
        _ = try await TreeCopy.run(from: scratch.tree("source"), to: scratch.tree("store/clone"))
        #expect(try scratch.shell("getfattr -R -m - -d store/clone").isEmpty)
        #expect(try scratch.shell("stat -c %a store/clone store/clone/file") == "755\n644")
    }

    @Test func mountPointInTheSourceIsNamed() async throws {
        try scratch.shell("mkdir -p source/a/mnt; mount -t tmpfs none source/a/mnt")
        defer { _ = try? scratch.shell("umount source/a/mnt") }
        let refused = await expect(.unsafe) { _ = try await TreeCopy.examine(self.scratch.tree("source")) }
        #expect(refused?.message.contains("a/mnt") == true)
    }

    @Test func limitsStopACopy() async throws {
        try scratch.shell("mkdir -p source/a/b/c; head -c 5000 /dev/zero > source/f; ln -s 0123456789 source/l")
        try scratch.shell("setfattr -n user.big -v $(printf '%2000s' x | tr ' ' x) source/f")
        let settings = [
            ("entries", "3"), ("logicalBytes", "4999"), ("allocatedBytes", "4999"), ("pathLength", "4"), ("depth", "2"),
            ("linkTargetLength", "9"), ("attributeBytes", "2000"), ("wallTime", "0"),
        ]
        for (name, value) in settings {
            var options = TreeCopyOptions()
            try options.limits.set(name, to: value)
            let refused = await error {
                _ = try await TreeCopy.run(
                    from: self.scratch.tree("source"), to: self.scratch.tree("clone"), options: options)
            }
            #expect(refused?.code == .limitExceeded, "\(name)")
            #expect(refused?.message.contains(name) == true, "\(name)")
            #expect(try scratch.shell("ls -A") == "source", "\(name)")
        }
    }

    @Test(.limited) func cancelledCopyLeavesNothing() async throws {
        let (reached, continuation) = AsyncStream<Void>.makeStream()
        let origin = EndlessOrigin(reached: continuation)
        let task = Task { try await TreeCopy.run(from: origin, to: scratch.tree("clone")) }
        for await _ in reached { break }
        #expect(try scratch.shell("ls -A | wc -l") == "1")
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(try scratch.shell("ls -A").isEmpty)
    }
}

/// A tree that never ends; tells when it is being read.
private struct EndlessOrigin: TreeOrigin {
    let reached: AsyncStream<Void>.Continuation
    var description: String { "endless" }

    func openForReading(_ opening: TreeOpening) throws -> any TreeSource { Source(reached: reached) }

    private final class Source: TreeSource {
        private let reached: AsyncStream<Void>.Continuation
        private var count: UInt64 = 0
        let losses = TreeLosses()

        init(reached: AsyncStream<Void>.Continuation) { self.reached = reached }

        var position: (read: UInt64, total: UInt64?) { (count, nil) }

        func next() throws -> TreeEntry? {
            count += 1
            if count == 50 { reached.yield() }
            return TreeEntry(path: try TreePath("directory\(count % 7)/\(count)"), kind: .file(size: 0), mode: 0o644)
        }

        func nextPiece() throws -> TreePiece? { nil }
    }
}
