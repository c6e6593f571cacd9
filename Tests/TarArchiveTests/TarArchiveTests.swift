// SPDX-License-Identifier: Apache-2.0

import FileTree
import Glibc
import LXCCore
import TarArchive
import TestSupport
import Testing

@Suite(.limited)
struct TarArchiveTests {
    let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    private func examine(_ bytes: [UInt8]) async throws -> TreeSummary {
        try await TreeCopy.examine(TarArchive(scratch.write(bytes, to: "archive")))
    }

    @Test func namesOfEveryKindAreTakenByteForByte() async throws {
        let long = String(repeating: "n", count: 180)
        var builder = TarBuilder()
        builder.addPax([("path", Array("pax/u\u{308}".utf8) + [0xFF, 0x0A])])
        builder.add("ignored", data: [1])
        builder.add("././@LongLink", type: "L", data: Array((long + "/gnu").utf8) + [0])
        builder.add("ignored", data: [2])
        builder.add("old directory/", type: "0")
        let tree = scratch.tree("tree")
        var options = TreeCopyOptions()
        options.destinationMap = try IDMap.ofTestUser()
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
        var plain = TarBuilder()
        plain.add("file", user: 5, group: 6, modified: 7, data: [1, 2, 3])
        var pax = TarBuilder()
        pax.addPax(["uid": "5", "gid": "6", "mtime": "7.000000000", "size": "3"])
        pax.add("file", user: 1, group: 1, size: 0, modified: 1)
        pax.addRaw([1, 2, 3] + [UInt8](repeating: 0, count: 509))
        #expect(try await examine(plain.finished()).digest == examine(pax.finished()).digest)
        var fraction = TarBuilder()
        fraction.addPax(["uid": "5", "gid": "6", "mtime": "7.000000001"])
        fraction.add("file", data: [1, 2, 3])
        #expect(try await examine(plain.finished()).digest != examine(fraction.finished()).digest)
    }

    @Test func lastEntryOfANameCounts() async throws {
        var once = TarBuilder()
        once.add("a", data: [2])
        once.add("d", type: "0", data: [9])
        var twice = TarBuilder()
        twice.add("d/x/y", data: [1])
        twice.add("a", data: [1])
        twice.add("a", type: "2", link: "d/x/y")
        twice.add("d", data: [9])
        twice.add("a", data: [2])
        #expect(try await examine(once.finished()).digest == examine(twice.finished()).digest)
        var options = TreeCopyOptions()
        options.destinationMap = try IDMap.ofTestUser()
        let archive = TarArchive(try scratch.write(twice.finished(), to: "archive"))
        let summary = try await TreeCopy.run(from: archive, to: scratch.tree("tree"), options: options)
        #expect(summary.counts.files == 2)
        #expect(try scratch.shell("cd tree; find . -type f | sort; od -An -tx1 a d") == "./a\n./d\n 02 09")
    }

    @Test func emptyArchiveIsARootAlone() async throws {
        #expect(try readAll(TarBuilder().finished(markerBlocks: 20)).entries.isEmpty)
        let summary = try await examine(TarBuilder().finished())
        #expect(summary.counts.total == 1)
        var builder = TarBuilder()
        builder.add("./", type: "5", mode: 0o755)
        #expect(try await examine(builder.finished()).digest == summary.digest)
    }

    @Test(arguments: ["gnu", "pax", "ustar"]) func archivesOfGNUTarAreReadInEveryFormatAndCompression(format: String)
        throws
    {
        try scratch.shell(
            """
            mkdir -p tree/etc; cd tree; seq 60000 > etc/large; printf text > "$(printf 'n\\303\\244me e\\314\\201')"
            chmod 4751 etc/large; ln -s ../etc/none link; ln etc/large second; mkfifo -m 0600 fifo; cd ..
            tar -C tree --format=\(format) --sort=name -cf plain .
            """)
        let large = try scratch.read("tree/etc/large")
        let plain = try scratch.read("plain")
        let compressors = ["cat", "gzip -c", "bzip2 -c", "xz -c", "xz --format=lzma -c", "zstd -qc", "lz4 -qc"]
        for compressor in compressors {
            try scratch.shell("\(compressor) < plain > archive")
            let (entries, losses) = try readAll(scratch("archive"))
            #expect(losses.isEmpty)
            let paths = [".", "etc", "etc/large", "fifo", "link", "n\u{e4}me e\u{301}", "second"]
            #expect(entries.map { Array($0.path.utf8) } == paths.map { Array($0.utf8) }, "\(compressor)")
            #expect(entries[0].entry.path == .root && entries[0].entry.kind == .directory)
            #expect(entries[2].entry.kind == .file(size: UInt64(large.count)) && entries[2].bytes == large)
            #expect(entries[2].entry.mode == 0o4751 && entries[2].entry.user == geteuid())
            #expect(entries[3].entry.kind == .fifo)
            #expect(entries[4].entry.kind == .symbolicLink(target: Array("../etc/none".utf8)))
            #expect(entries[5].bytes == Array("text".utf8))
            #expect(entries[6].entry.kind == .hardLink(to: try TreePath("etc/large")))
        }
        #expect(plain.count > large.count)
    }

    @Test func everyKindBigNumbersAndPartsOfASecondAreRead() throws {
        var builder = TarBuilder()
        builder.add("dev/null", type: "3", mode: 0o666, major: 1, minor: 3)
        builder.add("dev/disk", type: "4", major: 259, minor: 100_000)
        builder.add("pipe", type: "6")
        builder.add("contiguous", type: "7", data: [1, 2, 3])
        builder.add("big", user: 4_294_967_294, group: 3_000_000)
        builder.addPax(["mtime": "1700000000.123456789", "uid": "4000000000"])
        builder.add("precise")
        builder.add("hard", type: "1", link: "./big")
        builder.add("old", modified: -5)
        let entries = try readAll(builder.finished()).entries.map(\.entry)
        #expect(entries[0].kind == .characterDevice(major: 1, minor: 3))
        #expect(entries[1].kind == .blockDevice(major: 259, minor: 100_000))
        #expect(entries[2].kind == .fifo)
        #expect(entries[3].kind == .file(size: 3))
        #expect(entries[4].user == 4_294_967_294 && entries[4].group == 3_000_000)
        #expect(entries[5].modified == Timestamp(seconds: 1_700_000_000, nanoseconds: 123_456_789))
        #expect(entries[5].user == 4_000_000_000)
        #expect(entries[6].kind == .hardLink(to: try TreePath("big")))
        #expect(entries[7].modified == Timestamp(seconds: -5))
    }

    @Test func namesKeepTheirBytesWhateverTheLocale() throws {
        let names: [[UInt8]] = [
            Array("e\u{301}".utf8), Array("\u{e9}".utf8), [0x66, 0xff, 0xfe], Array("a\nb\u{1b}[0m".utf8),
            [UInt8](repeating: 0x61, count: 250) + [0xc3],
        ]
        var builder = TarBuilder()
        for name in names {
            builder.addPax([("path", name), ("linkpath", name)])
            builder.add("short", type: "2", link: "short")
        }
        let utf8 = newlocale(1 << LC_CTYPE, "C.UTF-8", nil)
        let previous = uselocale(utf8)
        defer {
            uselocale(previous)
            freelocale(utf8)
        }
        let entries = try readAll(builder.finished()).entries
        #expect(entries.map(\.entry.path.bytes) == names)
        #expect(entries.map(\.entry.kind) == names.map { .symbolicLink(target: $0) })
    }

    @Test func contentsThatAreNotReadArePassedOverThoseOfAHardLinkAlways() throws {
        var builder = TarBuilder()
        builder.add("first", data: [UInt8](repeating: 7, count: 5_000))
        builder.addPax(["size": "600"])
        builder.add("hard", type: "1", link: "first", data: [UInt8](repeating: 8, count: 600))
        builder.add("last", data: [1, 2, 3])
        let source = try TarArchive(scratch.write(builder.finished(), to: "archive")).openForReading(TreeOpening())
        #expect(try source.next()?.path.description == "first")
        #expect(try source.next()?.kind == .hardLink(to: try TreePath("first")))
        #expect(try source.nextPiece()?.offset == nil)
        #expect(try source.next()?.path.description == "last")
        var contents: [UInt8] = []
        while let piece = try source.nextPiece() { piece.bytes.withUnsafeBytes { contents += $0 } }
        #expect(contents == [1, 2, 3])
        #expect(try source.next() == nil)
    }

    @Test func whatIsNoArchiveIsRefused() throws {
        expect(.notFound) { _ = try readAll(scratch("none")) }
        expect(.invalidArgument) { _ = try readAll(scratch.path) }
        expect(.corrupt) { _ = try readAll([UInt8]()) }
        expect(.corrupt) { _ = try readAll([UInt8](repeating: 65, count: 2_000)) }
        #expect(mkfifo(scratch("fifo"), 0o600) == 0)
        expect(.invalidArgument) { _ = try readAll(scratch("fifo")) }
    }
}
