// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
import NFSClient
import TarArchive
import TestSupport
import Testing

@Suite(.tags(.host, .nfs), .limited, .host(.root, .nfsServer)) struct NFSTreeTests {
    private let export: Export

    init() throws { export = try Export() }

    /// What NFSv3, and nfs-ganesha on top of it, hold of a tree.
    static var portable: TreeCopyOptions {
        var options = TreeCopyOptions()
        options.digestOmits = [.attributes, .linkTimes]
        return options
    }

    private func digest(_ origin: any TreeOrigin) async throws -> TreeDigest? {
        try await TreeCopy.examine(origin, options: Self.portable).digest
    }

    /// Archive → NFS → NFS → local: one digest, but for what NFS cannot hold.
    @Test func everythingMakesTheRound() async throws {
        let scratch = export.scratch
        try TreeFixture.make("source", in: scratch)
        try scratch.shell(
            "tar --format=posix --xattrs --xattrs-include='*' --acls --numeric-owner -cf source.tar -C source .")
        let archive = TarArchive(scratch("source.tar"))
        let unpacked = try await TreeCopy.run(from: archive, to: export.tree("unpacked"))
        #expect(unpacked.digest == (try await TreeCopy.examine(archive).digest))
        #expect(unpacked.losses.kinds["acl"]?.count == 2)
        #expect(unpacked.losses.kinds["xattr:security.capability"]?.paths == ["capable"])
        let cloned = try await TreeCopy.run(from: export.tree("unpacked"), to: export.tree("cloned"))
        #expect(cloned.counts == unpacked.counts)
        _ = try await TreeCopy.run(from: export.tree("cloned"), to: scratch.tree("local"))
        let expected = try await digest(archive)
        #expect(try await digest(export.tree("unpacked")) == expected)
        #expect(try await digest(export.tree("cloned")) == expected)
        #expect(try await digest(scratch.tree("local")) == expected)
        #expect(try await digest(scratch.tree("export/cloned")) == expected)
        // The server's own view, without what it does not keep.
        let listing = """
            export LC_ALL=C
            find . -type d -printf '%P %m %U %G %T@\\n' | sort
            find . ! -type l ! -type d -printf '%P %y %m %U %G %T@ %s %n\\n' | sort
            find . -type l -printf '%P %U %G %l\\n' | sort
            find . \\( -type c -o -type b \\) -exec stat -c '%n %t %T' {} + | sort
            """
        #expect(try scratch.shell("cd export/cloned; \(listing)") == scratch.shell("cd source; \(listing)"))
        #expect(try scratch.shell("stat -c %b export/unpacked/holes") == "0")
        let blocks = try #require(Int(scratch.shell("stat -c %b export/cloned/sparse")))
        #expect(blocks < 1_000)
        #expect(try export.list() == "cloned\nunpacked")
    }

    @Test(arguments: 0..<8 as Range<UInt64>) func randomTreesMakeTheRound(_ seed: UInt64) async throws {
        let tree = try RandomTree.make(seed: seed + 300, entries: 150, .nfs)
        let expected = try await digest(tree)
        let summary = try await TreeCopy.run(from: tree, to: export.tree("a"), options: Self.portable)
        #expect(summary.digest == expected)
        #expect(summary.losses.kinds["time"] == nil)
        #expect(try await digest(export.tree("a")) == expected)
        let clone = try await TreeCopy.run(from: export.tree("a"), to: export.tree("b"), options: Self.portable)
        #expect(clone.digest == expected)
        #expect(try await digest(export.scratch.tree("export/b")) == expected)
    }

    @Test func idMapsApply() async throws {
        var range = RandomTree.Range.nfs
        range.largestID = 150_000
        range.largestACLID = 150_000
        let tree = try RandomTree.make(seed: 7, entries: 60, range)
        var options = Self.portable
        let wide = [IDMap.Range(container: 0, host: 100_000, count: 200_000)]
        let map = try IDMap(users: wide, groups: wide)
        options.destinationMap = map
        let summary = try await TreeCopy.run(from: tree, to: export.tree("a"), options: options)
        #expect(try export.scratch.shell("find export/a ! -uid -100000 ! -uid +99999 | wc -l") == "0")
        options.destinationMap = nil
        options.sourceMap = map
        #expect(try await TreeCopy.examine(export.tree("a"), options: options).digest == summary.digest)
    }

    @Test func largeFilesAndSharedHandlesWork() async throws {
        try export.scratch.shell(
            """
            mkdir source; cd source; head -c 50M /dev/urandom > large; head -c 262144 /dev/urandom > exact
            head -c 262145 /dev/urandom > more; truncate -s 300M hole; printf end >> hole; mkdir empty
            head -c 3M /dev/zero > zeros
            """)
        let client = try await export.connect()
        let tree = NFSTree(try TreePath("t"), in: client)
        let summary = try await TreeCopy.run(from: export.scratch.tree("source"), to: tree, options: Self.portable)
        #expect(try await digest(tree) == summary.digest)
        let blocks = try export.scratch.shell("cmp source/large export/t/large; stat -c %b export/t/zeros")
        #expect(blocks == "0")
        try await tree.remove()
        #expect(try export.list() == "")
        // The client is still good.
        #expect(try await client.list(client.root).isEmpty)
    }

    /// The last entry of a name counts.
    @Test func namesMetAgainAreReplaced() async throws {
        var tar = TarBuilder()
        tar.add("d/", type: "5", mode: 0o700)
        tar.add("d/f", data: [1, 2, 3])
        tar.add("d/in/side", data: [4])
        tar.add("d/f", data: [9, 9])
        tar.add("hard", type: "1", link: "d/f")
        tar.add("d/", type: "5", mode: 0o755, modified: 5)
        tar.add("d/in", type: "2", link: "elsewhere")
        tar.add("hard", data: [7])
        tar.add("d/in/", type: "5")
        tar.add("d/in/new", data: [5])
        let archive = TarArchive(try export.scratch.write(tar.finished(), to: "a.tar"))
        let summary = try await TreeCopy.run(from: archive, to: export.tree("t"), options: Self.portable)
        #expect(try await digest(export.tree("t")) == summary.digest)
        #expect(
            try export.scratch.shell("cd export/t; find . | sort; stat -c '%a %Y' d")
                == ".\n./d\n./d/f\n./d/in\n./d/in/new\n./hard\n755 5")
    }

    @Test func lossesAreReportedOrRefused() async throws {
        var entry = TreeEntry(path: try TreePath("f"), kind: .file(size: 0), mode: 0o644)
        entry.attributes = [.init(name: try #require(AttributeName("user.note")), value: [1])]
        var early = TreeEntry(path: try TreePath("early"), kind: .file(size: 0), mode: 0o644)
        early.modified = Timestamp(seconds: -5)
        var tree = ListedTree()
        tree.nodes += [ReadEntry(entry: entry), ReadEntry(entry: early)]
        let summary = try await TreeCopy.run(from: tree, to: export.tree("t"))
        #expect(summary.losses.kinds["xattr:user.note"]?.paths == ["f"])
        #expect(summary.losses.kinds["time"]?.paths == ["early"])
        var options = TreeCopyOptions()
        options.lossless = true
        await expect(.lossRefused) { try await TreeCopy.run(from: tree, to: export.tree("u"), options: options) }
        #expect(try export.list() == "t")
    }

    @Test func refusesWhatIsThereOrInside() async throws {
        try export.scratch.shell("mkdir -p export/t/in; touch export/file")
        let (inner, file) = (try export.tree("t/in/x"), try export.tree("file"))
        let tree = ListedTree()
        await expect(.alreadyExists) { try await TreeCopy.run(from: tree, to: export.tree("t")) }
        await expect(.alreadyExists) { try await TreeCopy.run(from: tree, to: file) }
        await expect(.notFound) { try await TreeCopy.run(from: tree, to: export.tree("no/x")) }
        await expect(.invalidArgument) { try await TreeCopy.run(from: export.tree("t"), to: inner) }
        #expect(try export.scratch.shell("find export | sort") == "export\nexport/file\nexport/t\nexport/t/in")
    }

    @Test func aRootThatCannotBeStartedIsRefused() async throws {
        var options = TreeCopyOptions()
        options.requiresSafeRoot = true
        var tree = ListedTree()
        try tree.add("etc/passwd", size: 0, [])
        _ = try await TreeCopy.run(from: tree, to: export.tree("good"), options: options)
        let link = TreeEntry(path: try TreePath("proc"), kind: .symbolicLink(target: Array("/tmp".utf8)), mode: 0o777)
        tree.nodes.append(ReadEntry(entry: link))
        #expect(
            await codeThrown { try await TreeCopy.run(from: tree, to: export.tree("bad"), options: options) } == .unsafe
        )
        #expect(try export.list() == "good")
    }

    @Test func removesWhatIsHardToRemove() async throws {
        try export.scratch.shell(
            """
            cd export; mkdir t outside; touch outside/stays; ln -s ../outside t/link; mkdir t/closed; touch t/closed/f
            chmod 0 t/closed; mkdir t/wide; (cd t/wide; seq 3000 | xargs touch); mkfifo t/fifo
            cd t; for i in $(seq 40); do mkdir $(printf 'd%.0s' $(seq 200)); cd d*; done; touch bottom
            """)
        try await export.tree("t").remove()
        #expect(try export.scratch.shell("find export -mindepth 1 | sort") == "export/outside\nexport/outside/stays")
        try await export.tree("t").remove()
        try await export.tree("outside/stays").remove()
        #expect(try export.scratch.shell("ls export/outside") == "")
    }

    /// Archives packed from the server and from the server's own disk are the same.
    @Test func packsTheSameArchive() async throws {
        try export.scratch.shell(
            """
            mkdir export/t; cd export/t; for d in b a c; do mkdir $d; for f in 3 1 2; do echo $d$f > $d/$f; done; done
            ln a/1 z; ln -s a/1 s; truncate -s 4M sparse; echo x >> sparse
            """)
        _ = try await TreeCopy.run(from: export.tree("t"), to: TarArchive(export.scratch("nfs.tar")))
        _ = try await TreeCopy.run(from: export.scratch.tree("export/t"), to: TarArchive(export.scratch("local.tar")))
        try export.scratch.shell("cmp nfs.tar local.tar")
    }

    @Test func socketsAreALossAndLimitsHold() async throws {
        try export.scratch.shell(
            """
            mkdir export/t; cd export/t; touch a b c
            python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("s")'
            """)
        let summary = try await TreeCopy.examine(export.tree("t"))
        #expect(summary.losses.kinds["socket"]?.paths == ["s"])
        #expect(summary.counts.files == 3)
        var options = TreeCopyOptions()
        options.limits.entries = 3
        await expect(.limitExceeded) { try await TreeCopy.examine(export.tree("t"), options: options) }
    }
}
