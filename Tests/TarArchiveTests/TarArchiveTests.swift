import FileTree
import LXCCore
import TarArchive
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct TarArchiveTests {
    let scratch: TreeScratch

    init() throws { scratch = try TreeScratch() }

    private func examine(_ bytes: [UInt8]) async throws -> TreeSummary {
        try await TreeCopy.examine(TarArchive(scratch.write(bytes, to: "archive")))
    }

    @Test func namesOfEveryKindAreTakenByteForByte() async throws {
        let long = String(repeating: "n", count: 180)
        var builder = TreeTarBuilder()
        builder.addPax([("path", Array("pax/u\u{308}".utf8) + [0xFF, 0x0A])])
        builder.add("ignored", data: [1])
        builder.add("././@LongLink", type: "L", data: Array((long + "/gnu").utf8) + [0])
        builder.add("ignored", data: [2])
        builder.add("old directory/", type: "0")
        let tree = scratch.tree("tree")
        var options = TreeCopyOptions()
        options.destinationMap = try TarHostile.ownMap()
        let archive = TarArchive(try scratch.write(builder.finished(), to: "archive"))
        let summary = try await TreeCopy.run(from: archive, to: tree, options: options)
        #expect(summary.counts.files == 2)
        #expect(summary.counts.directories == 4)
        let names = try scratch.shell(
            "cd tree; LC_ALL=C find . -type f -print0 | sort -z | od -v -An -c | tr -d ' \\n'")
        #expect(names == "./\(long)/gnu\\0./pax/u314210377\\n\\0")
        #expect(try scratch.shell("[ -d 'tree/old directory' ] && echo yes") == "yes")
    }

    @Test func paxNumbersAndTimes() async throws {
        var plain = TreeTarBuilder()
        plain.add("file", user: 5, group: 6, modified: 7, data: [1, 2, 3])
        var pax = TreeTarBuilder()
        pax.addPax(["uid": "5", "gid": "6", "mtime": "7.000000000", "size": "3"])
        pax.add("file", user: 1, group: 1, size: 0, modified: 1)
        pax.addRaw([1, 2, 3] + [UInt8](repeating: 0, count: 509))
        #expect(try await examine(plain.finished()).digest == examine(pax.finished()).digest)
        var fraction = TreeTarBuilder()
        fraction.addPax(["uid": "5", "gid": "6", "mtime": "7.000000001"])
        fraction.add("file", data: [1, 2, 3])
        #expect(try await examine(plain.finished()).digest != examine(fraction.finished()).digest)
    }

    @Test func lastEntryOfANameCounts() async throws {
        var once = TreeTarBuilder()
        once.add("a", data: [2])
        once.add("d", type: "0", data: [9])
        var twice = TreeTarBuilder()
        twice.add("d/x/y", data: [1])
        twice.add("a", data: [1])
        twice.add("a", type: "2", link: "d/x/y")
        twice.add("d", data: [9])
        twice.add("a", data: [2])
        #expect(try await examine(once.finished()).digest == examine(twice.finished()).digest)
        var options = TreeCopyOptions()
        options.destinationMap = try TarHostile.ownMap()
        let archive = TarArchive(try scratch.write(twice.finished(), to: "archive"))
        let summary = try await TreeCopy.run(from: archive, to: scratch.tree("tree"), options: options)
        #expect(summary.counts.files == 2)
        #expect(try scratch.shell("cd tree; find . -type f | sort; od -An -tx1 a d") == "./a\n./d\n 02 09")
    }

    @Test func emptyArchiveIsARootAlone() async throws {
        let summary = try await examine(TreeTarBuilder().finished())
        #expect(summary.counts.total == 1)
        var builder = TreeTarBuilder()
        builder.add("./", type: "5", mode: 0o755)
        #expect(try await examine(builder.finished()).digest == summary.digest)
    }

    @Test func sparseFormatsAgree() async throws {
        try scratch.shell(
            """
            mkdir t; truncate -s 3M t/f; for i in $(seq 40); do printf x$i | dd of=t/f bs=1 seek=$((i*70000)) conv=notrunc \\
            status=none; done; touch -d @5 t t/f
            tar -C t --sort=name --numeric-owner -Sc --format=gnu -f gnu.tar .
            for v in 0.0 0.1 1.0; do
                tar -C t --sort=name --numeric-owner -Sc --format=posix --pax-option=delete=atime,delete=ctime \\
                    --sparse-version=$v -f $v.tar .
            done
            tar -C t --sort=name --numeric-owner -c --format=gnu -f whole.tar .
            """)
        let expected = try await TreeCopy.examine(scratch.tree("t")).digest
        for name in ["gnu.tar", "0.0.tar", "0.1.tar", "1.0.tar", "whole.tar"] {
            let summary = try await TreeCopy.examine(TarArchive(scratch(name)))
            #expect(summary.digest == expected, "\(name)")
            #expect(summary.logicalBytes == 3 << 20, "\(name)")
            if name != "whole.tar" { #expect(summary.allocatedBytes < 1 << 20, "\(name)") }
        }
    }

    @Test func everyCompressionIsToldByContent() async throws {
        try scratch.shell(
            """
            mkdir t; seq 100000 > t/f; tar -C t -cf plain .
            gzip -k -S .1 plain; bzip2 -k plain; xz -k plain; zstd -q plain -o z; lz4 -q plain l
            { head -c 5000 plain | gzip; tail -c +5001 plain | gzip; head -c 512 /dev/zero; } > members
            { head -c 5000 plain | xz; tail -c +5001 plain | xz; } > xzs
            { head -c 5000 plain | zstd -q; tail -c +5001 plain | zstd -q; } > zs
            { head -c 5000 plain | bzip2; tail -c +5001 plain | bzip2; } > bzs
            """)
        let expected = try await TreeCopy.examine(TarArchive(scratch("plain"))).digest
        let formats: KeyValuePairs<String, CompressionFormat> = [
            "plain": .none, "plain.1": .gzip, "plain.bz2": .bzip2, "plain.xz": .xz, "z": .zstd, "l": .lz4,
            "members": .gzip, "xzs": .xz, "zs": .zstd, "bzs": .bzip2,
        ]
        let plain = try scratch.read("plain")
        for (name, format) in formats {
            #expect(try await TreeCopy.examine(TarArchive(scratch(name))).digest == expected, "\(name)")
            let (bytes, found) = try Decompressed.make(from: scratch(name), to: scratch("out"))
            #expect(bytes == UInt64(plain.count) && found == format, "\(name)")
            #expect(try scratch.read("out") == plain, "\(name)")
        }
    }

    @Test func decompressionStopsAtItsLimit() throws {
        try scratch.shell("head -c 100000 /dev/zero | gzip > bomb")
        let refused = #expect(throws: LXCError.self) {
            try Decompressed.make(from: scratch("bomb"), to: scratch("out"), maximumBytes: 99_999)
        }
        #expect(refused?.code == .limitExceeded)
        #expect(try Decompressed.make(from: scratch("bomb"), to: scratch("out"), maximumBytes: 100_000).0 == 100_000)
    }

    @Test(arguments: ["a.tar.gz.gz", "nothing", "text", "directory", "missing"])
    func whatIsNoTarIsRefused(name: String) async throws {
        try scratch.shell(
            """
            mkdir directory t; tar -C t -c . | gzip | gzip > a.tar.gz.gz; : > nothing; seq 1000 > text
            tar -C t -c . | xz | xz > a.tar.xz.xz
            """)
        let refused = await failure { _ = try await TreeCopy.examine(TarArchive(scratch(name))) }
        let expected: [String: LXCError.Code] = ["missing": .notFound, "directory": .invalidArgument]
        #expect(refused?.code == expected[name] ?? .corrupt)
    }
}
