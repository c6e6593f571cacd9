// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
import TarArchive
import TestSupport
import Testing

/// What the formats leave open: read as GNU tar and libarchive agree, refused where they see the next entry at different
/// places.
@Suite(.limited)
struct TarDialectTests {
    let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    private func names(_ build: (inout TarBuilder) -> Void) throws -> [String] {
        var builder = TarBuilder()
        build(&builder)
        return try readAll(builder.finished()).entries.map(\.path)
    }

    private func code(_ build: (inout TarBuilder) -> Void) -> LXCError.Code? { errorCode { _ = try names(build) } }

    /// The header of an entry in another dialect, or with other bytes: the checksum is made anew.
    private func changed(_ entry: TarBuilder, _ offset: Int, _ bytes: [UInt8]) -> [UInt8] {
        var header = entry.bytes
        header.replaceSubrange(offset..<(offset + bytes.count), with: bytes)
        header.replaceSubrange(148..<156, with: [UInt8](repeating: UInt8(ascii: " "), count: 8))
        let sum = String(header[..<512].reduce(0) { $0 + Int($1) }, radix: 8)
        let digits = String(repeating: "0", count: 6 - sum.utf8.count) + sum
        header.replaceSubrange(148..<155, with: Array(digits.utf8) + [0])
        return header
    }

    private func entry(_ name: String, type: Character, size: Int, link: String = "", magic: String) -> [UInt8] {
        var builder = TarBuilder()
        builder.add(name, type: type, size: size, link: link)
        return changed(builder, 257, Array(magic.utf8))
    }

    private static let gnu = "ustar  \u{0}"
    private static let v7 = String(repeating: "\u{0}", count: 8)

    @Test(arguments: [TarDialectTests.gnu, TarDialectTests.v7])
    func oldHardLinksRepeatTheSizeWithoutData(magic: String) throws {
        for isPax in [false, true] {
            let names = try names {
                $0.add("f", data: [1])
                if isPax { $0.addPax(["mtime": "1.5"]) }
                $0.addRaw(entry("h", type: "1", size: 4_096, link: "f", magic: magic))
                $0.add("last")
            }
            #expect(names == ["f", "h", "last"])
        }
    }

    @Test func hardLinkOfUstarHasDataUnlessAHeaderOrTheEndFollows() throws {
        let followed = try names {
            $0.add("f", data: [1])
            $0.add("h", type: "1", size: 4_096, link: "f")
            $0.add("last")
        }
        #expect(followed == ["f", "h", "last"])
        let ended = try names {
            $0.add("f", data: [1])
            $0.add("h", type: "1", size: 4_096, link: "f")
        }
        #expect(ended == ["f", "h"])
        let withData = code {
            $0.add("f", data: [1])
            $0.add("h", type: "1", link: "f", data: [UInt8](repeating: 7, count: 700))
            $0.add("last")
        }
        #expect(withData == .corrupt)
    }

    @Test func hardLinkOfPaxWithASizeIsRefused() throws {
        var inner = TarBuilder()
        inner.add("smuggled", data: [1])
        let contents = [[UInt8](repeating: 0, count: 512) + [UInt8](repeating: 1, count: 512), inner.bytes, [7]]
        for data in contents {
            let refused = code {
                $0.add("f", data: data)
                $0.addPax(["mtime": "1.5"])
                $0.add("h", type: "1", link: "f", data: data)
                $0.add("last")
            }
            #expect(refused == .corrupt)
        }
    }

    @Test func aPaxHeadersSizeOfAHardLinkHolds() throws {
        var inner = TarBuilder()
        inner.add("smuggled", data: [1])
        let names = try names {
            $0.add("f", data: [1])
            $0.addPax(["size": "\(inner.bytes.count)"])
            $0.add("h", type: "1", size: 0, link: "f", data: inner.bytes)
            $0.add("last")
        }
        #expect(names == ["f", "h", "last"])
    }

    @Test(arguments: ["2", "3", "4", "6"] as [Character])
    func sizeOfWhatHasNoContentsIsRefused(type: Character) {
        let refused = code {
            $0.add("x", type: type, size: 512, link: type == "2" ? "f" : "")
            $0.add("last")
        }
        #expect(refused == .corrupt)
    }

    @Test func sizeOfADirectoryMeansNothing() throws {
        let names = try names {
            $0.add("d", type: "5", size: 4_096)
            $0.add("last")
        }
        #expect(names == ["d", "last"])
        let refused = code {
            $0.addPax(["size": "512"])
            $0.add("d", type: "5")
            $0.add("last")
        }
        #expect(refused == .corrupt)
    }

    @Test func restOfTheLastRecordIsUndefined() throws {
        var stale = TarBuilder()
        for index in 0..<4 { stale.add("stale\(index)", data: [1]) }
        var builder = TarBuilder()
        builder.add("f", data: [1])
        let marked = builder.finished() + stale.bytes
        let record = marked + [UInt8](repeating: 0xA5, count: 10_240 - marked.count)
        #expect(try readAll(record).entries.map(\.path) == ["f"])
        #expect(try readAll(record + [UInt8](repeating: 0, count: 10_240)).entries.map(\.path) == ["f"])
        expect(.corrupt) { _ = try readAll(record + stale.finished()) }
    }

    @Test(
        arguments: [
            ("\u{0}0000000016\u{0}", nil), ("\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}0016\u{0}", nil),
            (" \u{0}000000016\u{0}", nil),
            ("            ", nil), ("         16 ", 14), ("      000016", 14),
            ("16\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}", 14),
            (String(repeating: "\u{0}", count: 12), 0),
        ] as [(String, UInt64?)])
    func numbersThatReadersReadDifferentlyAreRefused(field: String, size: UInt64?) throws {
        var file = TarBuilder()
        file.add("f", size: 0)
        var bytes = changed(file, 124, Array(field.utf8))
        if size == 14 { bytes += [UInt8](repeating: 7, count: 512) }
        guard let size else {
            expect(.corrupt) { _ = try readAll(bytes + [UInt8](repeating: 0, count: 1_024)) }
            return
        }
        #expect(
            try readAll(bytes + [UInt8](repeating: 0, count: 1_024)).entries.map(\.entry.kind) == [.file(size: size)])
    }

    @Test func labelTakesNoExtendedHeader() {
        let refused = code {
            $0.addPax(["path": "p"])
            $0.add("label", type: "V")
            $0.add("f")
        }
        #expect(refused == .corrupt)
    }

    @Test func absoluteHardLinkTargetsLeadInside() async throws {
        var builder = TarBuilder()
        builder.add("usr/", type: "5", mode: 0o755)
        builder.add("usr/a", data: [1])
        builder.add("usr/b", type: "1", link: "/usr/a")
        builder.add("usr/c", type: "1", link: "///usr/b")
        var options = TreeCopyOptions()
        options.destinationMap = try IDMap.ofTestUser()
        let archive = TarArchive(try scratch.write(builder.finished(), to: "archive"))
        let summary = try await TreeCopy.run(from: archive, to: scratch.tree("tree"), options: options)
        #expect(summary.counts.hardLinks == 2)
        #expect(try scratch.shell("stat -c %h tree/usr/a; ls tree/usr") == "3\na\nb\nc")
    }

    @Test func hardLinkToItselfChangesNothing() async throws {
        var builder = TarBuilder()
        builder.add("a", mode: 0o640, data: [1])
        builder.add("a", type: "1", mode: 0o777, link: "./a")
        let archive = TarArchive(try scratch.write(builder.finished(), to: "archive"))
        var options = TreeCopyOptions()
        options.destinationMap = try IDMap.ofTestUser()
        let summary = try await TreeCopy.run(from: archive, to: scratch.tree("tree"), options: options)
        #expect(summary.counts.files == 1 && summary.counts.hardLinks == 0)
        #expect(try scratch.shell("stat -c '%a %s %h' tree/a") == "640 1 1")
        #expect(summary.digest == (try await TreeCopy.examine(archive)).digest)
    }
}
