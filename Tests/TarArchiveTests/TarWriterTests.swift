// SPDX-License-Identifier: Apache-2.0

import FileTree
import Foundation
import LXCCore
import TarArchive
import TestSupport
import Testing

/// What archives are made, whoever runs the tests.
@Suite(.limited)
struct TarWriterTests {
    static let endings = ["tar", "tar.gz", "tar.xz", "tar.zst", "tar.bz2", "tar.lz4"]

    let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    @discardableResult
    private func pack(
        _ origin: any TreeOrigin, _ name: String, _ options: TreeCopyOptions = TreeCopyOptions()
    ) async throws -> TreeSummary {
        try await TreeCopy.run(from: origin, to: TarArchive(scratch(name)), options: options)
    }

    /// The entries as the reader has them: it does not promise an order of attributes.
    private func sorted(_ entries: [ReadEntry]) -> [ReadEntry] {
        entries.map { read in
            var read = read
            read.entry.attributes.sort { $0.name < $1.name }
            // How contents are cut is the source's own business.
            var joined = ReadEntry(entry: read.entry)
            for piece in read.pieces { joined.add(piece.bytes, at: piece.offset) }
            return joined
        }
    }

    @Test(arguments: 1...6) func anyTreeComesBackAsItWas(seed: UInt64) async throws {
        let tree = try RandomTree.make(seed: seed, entries: 80)
        let summary = try await pack(tree, "a.tar")
        let (entries, losses) = try readAll(scratch("a.tar"))
        #expect(losses.isEmpty)
        let expected = sorted(tree.nodes)
        let found = sorted(entries)
        #expect(found.count == expected.count)
        for (found, expected) in zip(found, expected) { try #require(found == expected) }
        #expect(summary.digest == (try await TreeCopy.examine(TarArchive(scratch("a.tar"))).digest))
        #expect(summary.strategy == "write")
        // Once more: what was read is written as it was.
        try await pack(TarArchive(scratch("a.tar")), "b.tar")
        #expect(try scratch.read("a.tar") == scratch.read("b.tar"))
        #expect(try scratch.read("a.tar").count.isMultiple(of: 10_240))
    }

    @Test(arguments: endings) func endingOfTheNameSaysHowToCompress(ending: String) async throws {
        let tree = try RandomTree.make(seed: 5, entries: 50)
        let digest = try await TreeCopy.examine(tree).digest
        try await pack(tree, "plain.tar")
        try await pack(tree, "one.\(ending)")
        try await pack(TarArchive(scratch("one.\(ending)")), "two.\(ending)")
        #expect(try scratch.read("one.\(ending)") == scratch.read("two.\(ending)"))
        #expect(try await TreeCopy.examine(TarArchive(scratch("two.\(ending)"))).digest == digest)
        let programs = ["gz": "gzip", "xz": "xz", "st": "zstd -q", "z2": "bzip2", "z4": "lz4 -q", "ar": "cat"]
        let program = try #require(programs[String(ending.suffix(2))])
        try scratch.shell("\(program == "cat" ? "cat" : program + " -dc") < one.\(ending) > unpacked")
        #expect(try scratch.read("unpacked") == scratch.read("plain.tar"))
        #expect(try scratch.shell("ls -A; stat -c %a one.\(ending)").contains("partial") == false)
        #expect(try scratch.shell("stat -c %a one.\(ending)") == "600")
    }

    @Test(arguments: [("tgz", "tar.gz"), ("txz", "tar.xz"), ("tzst", "tar.zst"), ("tbz2", "tar.bz2")])
    func shortEndingsAreTheSame(short: String, long: String) async throws {
        try await pack(ListedTree(), "short.\(short)")
        try await pack(ListedTree(), "long.\(long)")
        #expect(try scratch.read("short.\(short)") == scratch.read("long.\(long)"))
    }

    @Test func gzipSaysNothingOfWhenItWasMade() async throws {
        try await pack(ListedTree(), "a.tar.gz")
        #expect(try Array(scratch.read("a.tar.gz")[..<10]) == [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3])
    }

    @Test func zstdHasAChecksum() async throws {
        try await pack(RandomTree.make(seed: 3, entries: 30), "a.tar.zst")
        let facts = try scratch.shell("zstd -lv a.tar.zst")
        #expect(facts.contains("Check: XXH64"), "\(facts)")
    }

    @Test func xzMakesBlocksThatCanBeReadInParallel() async throws {
        var tree = ListedTree()
        let zeros = [UInt8](repeating: 0, count: 1 << 20)
        try tree.add("file", size: 60 << 20, (0..<60).map { ($0 << 20, zeros) })
        try await pack(tree, "a.tar.xz")
        let blocks = try Int(scratch.shell("xz --robot -l a.tar.xz | awk '$1 == \"file\" { print $3 }'"))
        #expect((5...6).contains(blocks ?? 0))
    }

    @Test(arguments: ["a", "a.gz", "a.tar.Z", "a.zip", "tar", "a.TAR", "a.tar.gz.old"])
    func otherEndingsAreRefused(name: String) async throws {
        let error = await failure { try await pack(ListedTree(), name) }
        #expect(error?.code == .invalidArgument)
        for ending in [".tar,", ".tgz,", ".tar.zst,", ".tar.lz4"] {
            #expect(error?.message.contains(ending) == true)
        }
        #expect(try scratch.shell("ls -A").isEmpty)
    }

    @Test func headersAreThoseOfThePaxFormat() async throws {
        var tree = ListedTree()
        var entry = TreeEntry(path: try TreePath("plain"), kind: .file(size: 3), mode: 0o4751, user: 7, group: 8)
        entry.modified = Timestamp(seconds: 1_000_000_000)
        tree.nodes.append(ReadEntry(entry: entry, pieces: [.init(offset: 0, bytes: [1, 2, 3])]))
        entry.path = try TreePath("pax")
        entry.kind = .directory
        entry.user = 3_000_000
        entry.modified = Timestamp(seconds: -2, nanoseconds: 750_000_000)
        entry.attributes = [
            .init(name: try #require(AttributeName("user.b")), value: [0, 10, 255]),
            .init(name: try #require(AttributeName("user.a=%")), value: []),
        ]
        tree.nodes.append(ReadEntry(entry: entry))
        try await pack(tree, "a.tar")

        var expected = TarBuilder()
        expected.add("./", type: "5", mode: 0o755)
        expected.add("plain", mode: 0o4751, user: 7, group: 8, modified: 1_000_000_000, data: [1, 2, 3])
        var records = TarBuilder()
        records.addPax([
            ("SCHILY.xattr.user.a%3D%25", []), ("SCHILY.xattr.user.b", [0, 10, 255]), ("mtime", Array("-1.25".utf8)),
            ("uid", Array("3000000".utf8)),
        ])
        let length = try #require(records.bytes.lastIndex { $0 != 0 }) - 511
        expected.add("././@PaxHeader", type: "x", size: length, data: Array(records.bytes[512...]))
        expected.add("pax/", type: "5", mode: 0o4751, user: 2_097_151, group: 8)
        let written = try scratch.read("a.tar")
        #expect(Array(written[..<expected.bytes.count]) == expected.bytes)
        #expect(written[expected.bytes.count...].allSatisfy { $0 == 0 })
        #expect(written.count == 10_240)
    }

    @Test(arguments: [
        (100, 0, false), (101, 0, true), (50, 50, false), (155, 100, false), (156, 100, true), (155, 101, true),
        (1, 100, false), (200, 3, true),
    ])
    func namesGoIntoTheHeaderWhereASlashIsInTheRightPlace(first: Int, second: Int, needsRecord: Bool) async throws {
        let above = String(repeating: "a", count: first)
        let path = second == 0 ? above : "\(above)/\(String(repeating: "b", count: second))"
        var tree = ListedTree()
        try tree.add(path, size: 1, [(0, [1])])
        try await pack(tree, "file.tar")
        #expect(try readAll(scratch("file.tar")).entries.last?.entry.path == TreePath(path))
        #expect(try scratch.shell("grep -ac ' path=\(path)$' file.tar || true") == (needsRecord ? "1" : "0"))
        // A directory's own slash at the end is no place to cut, and takes the room of a byte.
        let directory = TreeEntry(path: try TreePath(String(path.dropLast())), kind: .directory, mode: 0o755)
        try await pack(ListedTree([ReadEntry(entry: directory)]), "directory.tar")
        #expect(try readAll(scratch("directory.tar")).entries.last?.entry == directory)
        #expect(
            try scratch.shell("grep -ac ' path=\(path.dropLast())/$' directory.tar || true")
                == (needsRecord ? "1" : "0"))
    }

    @Test func numbersBeyondTheHeadersFieldsAreReadByOthersToo() async throws {
        // Only the beginning of the file is written; where it would go on, the archive gets a hole.
        let size: UInt64 = 9 << 30
        let entry = TreeEntry(
            path: try TreePath("large"), kind: .file(size: size), mode: 0o600, user: 4_294_967_294, group: 2_097_152)
        let sink = try TarArchive(scratch("a.tar")).openForWriting(TreeOpening())
        defer { sink.abandon() }
        try sink.begin(entry, isNew: true)
        let block = SharedBytes(copying: [UInt8](repeating: 7, count: 1 << 20))
        for index in 0..<8 { try sink.write(TreePiece(offset: UInt64(index) << 20, bytes: block)) }
        try scratch.shell(
            """
            for i in $(seq 600); do [ "$(stat -c %s .a.tar.partial-*)" -gt 2000000 ] && break; sleep 0.1; done
            head -c 2000 .a.tar.partial-* > cut; truncate -s $((512 * 3 + 9 * 1024 * 1024 * 1024 + 1024)) cut
            """)
        let source = try TarArchive(scratch("cut")).openForReading(TreeOpening())
        #expect(try source.next() == entry)
        for program in ["tar", "bsdtar"] where (try? scratch.shell("command -v \(program)")) != nil {
            let listed = try scratch.shell("\(program) --numeric-owner -tvf cut")
            for number in ["4294967294", "2097152", String(size)] { #expect(listed.contains(number), "\(listed)") }
        }
    }

    @Test(arguments: [
        [(0, 99)], [(0, 101)], [(0, 50), (51, 49)], [(1, 99)], [], [(0, 50), (40, 60)], [(50, 50), (0, 50)],
    ])
    func contentsThatAreNotTheFilesSizeAreAnError(pieces: [(UInt64, Int)]) async throws {
        var tree = ListedTree()
        try tree.add("file", size: 100, pieces.map { ($0.0, [UInt8](repeating: 1, count: $0.1)) })
        let error = await failure { try await pack(tree, "a.tar") }
        // The copy itself sees what passes the file's size.
        #expect(error?.code == (pieces.contains { $0.0 + UInt64($0.1) > 100 } ? .corrupt : .io))
        #expect(error?.message.contains("\"file\"") == true)
        #expect(try scratch.shell("ls -A").isEmpty)
    }

    @Test(arguments: [
        [(10, 10)], [(10, 10), (20, 1), (40, 10)], [(10, 10), (41, 9)], [(10, 10), (40, 11)], [(40, 10)],
        [(10, 30), (40, 10)], [(10, 10), (30, 20)], [],
    ])
    func contentsThatAreNotInTheAnnouncedPlacesAreAnError(pieces: [(UInt64, Int)]) async throws {
        var tree = ListedTree()
        try tree.add(
            "file", size: 100, extents: [10..<20, 40..<50],
            pieces.map { ($0.0, [UInt8](repeating: 1, count: $0.1)) })
        let error = await failure { try await pack(tree, "a.tar.gz") }
        #expect(error?.code == .io)
        #expect(try scratch.shell("ls -A").isEmpty)
    }

    @Test(arguments: ["tar", "tar.zst"]) func damagedSourceLeavesNothing(ending: String) async throws {
        try await pack(RandomTree.make(seed: 9, entries: 40), "whole.tar.gz")
        let whole = try scratch.read("whole.tar.gz")
        for length in [20, whole.count / 2, whole.count - 1] {
            let cut = TarArchive(try scratch.write(Array(whole[..<length]), to: "cut.tar.gz"))
            #expect(await failure { try await pack(cut, "a.\(ending)") }?.code == .corrupt, "\(length)")
            #expect(try scratch.shell("ls -A") == "cut.tar.gz\nwhole.tar.gz")
        }
    }

    @Test func placeThatIsTakenIsLeftAlone() async throws {
        try scratch.shell("printf mine > a.tar; ln -s nowhere b.tar; mkdir c.tar")
        for name in ["a.tar", "b.tar", "c.tar"] {
            var tree = ListedTree()
            // The work does not even start.
            tree.beforeEntry = { _ in throw LXCError(.corrupt, "it was read") }
            #expect(await failure { try await pack(tree, name) }?.code == .alreadyExists)
        }
        #expect(try scratch.shell("ls -A; cat a.tar; readlink b.tar") == "a.tar\nb.tar\nc.tar\nminenowhere")
        #expect(await failure { try await pack(ListedTree(), "no/a.tar") }?.code == .notFound)
    }

    @Test func placeTakenMeanwhileIsLeftAlone() async throws {
        let path = scratch("a.tar")
        var tree = ListedTree()
        tree.beforeEntry = { _ in try TreeShell.run("printf theirs > \(path)") }
        #expect(await failure { try await pack(tree, "a.tar") }?.code == .alreadyExists)
        #expect(try scratch.shell("ls -A; cat a.tar") == "a.tar\ntheirs")
    }

    @Test func archiveInsideTheDirectoryThatIsPackedIsRefused() async throws {
        try scratch.shell("mkdir -p tree/a")
        #expect(await failure { try await pack(scratch.tree("tree"), "tree/a/b.tar") }?.code == .invalidArgument)
        #expect(try scratch.shell("find tree") == "tree\ntree/a")
    }

    @Test(arguments: [TreeCopyOptions.Strategy.snapshot, .reflink])
    func strategiesOfDirectoriesAreRefused(strategy: TreeCopyOptions.Strategy) async throws {
        var options = TreeCopyOptions()
        options.strategy = strategy
        #expect(await failure { try await pack(ListedTree(), "a.tar", options) }?.code == .unsupported)
        #expect(try scratch.shell("ls -A").isEmpty)
    }

    @Test(arguments: ["tar", "tar.gz", "tar.xz", "tar.zst"]) func cancelledPackingLeavesNothing(ending: String)
        async throws
    {
        let (reached, continuation) = AsyncStream<Void>.makeStream()
        let origin = EndlessTree(reached: continuation)
        let task = Task { try await pack(origin, "a.\(ending)") }
        for await _ in reached { break }
        // Nobody else can read what is not complete.
        #expect(try scratch.shell("ls -A | sed 's/-.*//'; stat -c %a .a*") == ".a.\(ending).partial\n600")
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(try scratch.shell("ls -A").isEmpty)
    }

    @Test func devicesBeyondTheFormatAreNamed() async throws {
        var tree = ListedTree()
        let kind = TreeEntry.Kind.blockDevice(major: 1, minor: 1 << 21)
        tree.nodes.append(ReadEntry(entry: TreeEntry(path: try TreePath("disk"), kind: kind, mode: 0o600)))
        let error = await failure { try await pack(tree, "a.tar") }
        #expect(error?.code == .unsupported && error?.message.contains("disk") == true)
        #expect(try scratch.shell("ls -A").isEmpty)
    }
}

/// A tree of files that hardly compress and that never ends; tells when a few MiB were read.
private struct EndlessTree: TreeOrigin {
    let reached: AsyncStream<Void>.Continuation
    var description: String { "endless" }

    func openForReading(_ opening: TreeOpening) throws -> any TreeSource { Source(reached) }

    private final class Source: TreeSource {
        private let reached: AsyncStream<Void>.Continuation
        private let bytes: SharedBytes
        private var count: UInt64 = 0
        private var isRead = true
        let losses = TreeLosses()

        init(_ reached: AsyncStream<Void>.Continuation) {
            self.reached = reached
            var random = SeededRandom(seed: 1)
            bytes = SharedBytes(copying: (0..<(1 << 20)).map { _ in UInt8(truncatingIfNeeded: random.next()) })
        }

        var position: (read: UInt64, total: UInt64?) { (count << 20, nil) }

        func next() throws -> TreeEntry? {
            count += 1
            isRead = false
            if count == 8 { reached.yield() }
            return TreeEntry(path: try TreePath("\(count)"), kind: .file(size: UInt64(bytes.count)), mode: 0o644)
        }

        func nextPiece() throws -> TreePiece? {
            guard !isRead else { return nil }
            isRead = true
            return TreePiece(offset: 0, bytes: bytes)
        }
    }
}
