import FileTree
import Foundation
import Glibc
import LXCCore
import TarArchive
import TestSupport
import Testing

@Suite("Reading archives", .timeLimit(.minutes(2)))
struct TarArchiveTests {
    private static let letters = Array("contents of a file".utf8)

    @Test("archives of GNU tar are read in every format and compression", arguments: ["gnu", "pax", "ustar"])
    func programs(format: String) throws {
        let scratch = try Scratch()
        let tree = scratch.file("tree")
        try FileManager.default.createDirectory(atPath: tree + "/etc", withIntermediateDirectories: true)
        let large = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* $0 >> 7) }
        try scratch.store(large, as: "tree/etc/large")
        try scratch.store(Self.letters, as: "tree/n\u{e4}me e\u{301}")
        #expect(chmod(tree + "/etc/large", 0o4751) == 0)
        #expect(symlink("../etc/none", tree + "/link") == 0)
        #expect(link(tree + "/etc/large", tree + "/second") == 0)
        #expect(mkfifo(tree + "/fifo", 0o600) == 0)
        try scratch.run("/bin/tar", ["-C", tree, "--format", format, "--sort=name", "-cf", scratch.file("a.tar"), "."])
        let plain = try scratch.load("a.tar")
        let packed = try ["gzip", "bzip2", "xz", "lzma", "zstd", "lz4"].map { try scratch.compress(plain, with: $0) }
        for archive in [plain] + packed {
            let (entries, losses) = try readAll(archive)
            #expect(losses.isEmpty)
            #expect(entries.map(\.path) == [".", "etc", "etc/large", "fifo", "link", "n\u{e4}me e\u{301}", "second"])
            #expect(entries.map(\.path.utf8.count)[5] == "n\u{e4}me e\u{301}".utf8.count)
            #expect(entries[0].entry.path == .root && entries[0].entry.kind == .directory)
            #expect(entries[2].entry.kind == .file(size: 300_000) && entries[2].bytes == large)
            #expect(entries[2].entry.mode == 0o4751 && entries[2].entry.user == geteuid())
            #expect(entries[3].entry.kind == .fifo)
            #expect(entries[4].entry.kind == .symbolicLink(target: Array("../etc/none".utf8)))
            #expect(entries[5].bytes == Self.letters)
            #expect(entries[6].entry.kind == .hardLink(to: try TreePath("etc/large")))
        }
    }

    @Test("every kind, big numbers and parts of a second are read")
    func kinds() throws {
        var tar = TarBuilder()
        tar.add("dev/null", type: "3", mode: 0o666, device: (1, 3))
        tar.add("dev/disk", type: "4", device: (259, 100_000))
        tar.add("pipe", type: "6")
        tar.add("contiguous", type: "7", data: [1, 2, 3])
        tar.add("big", user: 4_294_967_294, group: 3_000_000)
        tar.addPax(["mtime": "1700000000.123456789", "uid": "4000000000"])
        tar.add("precise")
        tar.add("hard", type: "1", linkTarget: "./big")
        let entries = try readAll(tar.finish()).entries.map(\.entry)
        #expect(entries[0].kind == .characterDevice(major: 1, minor: 3))
        #expect(entries[1].kind == .blockDevice(major: 259, minor: 100_000))
        #expect(entries[2].kind == .fifo)
        #expect(entries[3].kind == .file(size: 3))
        #expect(entries[4].user == 4_294_967_294 && entries[4].group == 3_000_000)
        #expect(entries[5].modified == TreeEntry.Time(seconds: 1_700_000_000, nanoseconds: 123_456_789))
        #expect(entries[5].user == 4_000_000_000)
        #expect(entries[6].kind == .hardLink(to: try TreePath("big")))
    }

    @Test("names keep their bytes, whatever the locale")
    func names() throws {
        let names: [[UInt8]] = [
            Array("e\u{301}".utf8), Array("\u{e9}".utf8), [0x66, 0xff, 0xfe], Array("a\nb\u{1b}[0m".utf8),
            [UInt8](repeating: 0x61, count: 250) + [0xc3],
        ]
        var tar = TarBuilder()
        for name in names {
            tar.addPax([(key: "path", value: name), (key: "linkpath", value: name)])
            tar.add("short", type: "2", linkTarget: "short")
        }
        let utf8 = newlocale(1 << LC_CTYPE, "C.UTF-8", nil)
        let previous = uselocale(utf8)
        defer {
            uselocale(previous)
            freelocale(utf8)
        }
        let entries = try readAll(tar.finish()).entries
        #expect(entries.map(\.entry.path.bytes) == names)
        #expect(entries.map(\.entry.kind) == names.map { .symbolicLink(target: $0) })
    }

    @Test("contents that are not read are skipped, those of a hard link always")
    func skipping() throws {
        var tar = TarBuilder()
        tar.add("first", data: [UInt8](repeating: 7, count: 5_000))
        tar.addPax(["size": "600"])
        tar.add("hard", type: "1", data: [UInt8](repeating: 8, count: 600), linkTarget: "first")
        tar.add("last", data: Self.letters)
        let scratch = try Scratch()
        let source = try TarArchive(scratch.store(tar.finish())).open(limits: TreeLimits())
        #expect(try source.next()?.path.description == "first")
        #expect(try source.next()?.kind == .hardLink(to: try TreePath("first")))
        #expect(try source.readPiece { _, _ in } == false)
        #expect(try source.next()?.path.description == "last")
        var contents: [UInt8] = []
        while try source.readPiece({ contents += Array($1) }) {}
        #expect(contents == Self.letters)
        #expect(try source.next() == nil)
    }

    @Test("sparse files come in pieces", arguments: ["0.0", "0.1", "1.0", "old"])
    func sparse(version: String) throws {
        let scratch = try Scratch()
        let descriptor = open(scratch.file("sparse"), O_WRONLY | O_CREAT, 0o600)
        let piece = [UInt8](repeating: 9, count: 4_096)
        #expect(pwrite(descriptor, piece, piece.count, 1 << 20) == piece.count)
        #expect(pwrite(descriptor, piece, piece.count, 40 << 30) == piece.count)
        #expect(ftruncate(descriptor, 50 << 30) == 0)
        close(descriptor)
        let format = version == "old" ? ["--format=gnu"] : ["--format=pax", "--sparse-version=\(version)"]
        try scratch.run("/bin/tar", ["-C", scratch.path, "-S"] + format + ["-cf", scratch.file("a.tar"), "sparse"])
        let file = try #require(try readAll(scratch.file("a.tar")).entries.first)
        #expect(file.path == "sparse")
        #expect(file.entry.kind == .file(size: 50 << 30))
        let filled = file.pieces.filter { $0.bytes.contains { $0 != 0 } }
        #expect(filled.map(\.offset) == [1 << 20, 40 << 30])
        #expect(filled.flatMap(\.bytes) == piece + piece)
    }

    @Test("an archive that is not there, or is no archive")
    func noArchive() throws {
        let scratch = try Scratch()
        #expect(errorCode { _ = try readAll(scratch.file("none")) } == .notFound)
        #expect(errorCode { _ = try readAll(scratch.path) } == .corrupt)
        #expect(errorCode { _ = try readAll([UInt8]()) } == .corrupt)
        #expect(errorCode { _ = try readAll([UInt8](repeating: 65, count: 2_000)) } == .corrupt)
        #expect(mkfifo(scratch.file("fifo"), 0o600) == 0)
        #expect(errorCode { _ = try readAll(scratch.file("fifo")) } == .corrupt)
    }

    @Test("an archive without entries is one")
    func empty() throws {
        #expect(try readAll(TarBuilder().finish(markerBlocks: 20)).entries.isEmpty)
    }
}
