// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
import TarArchive
import TestSupport
import Testing

@Suite(.limited)
struct DamagedArchiveTests {
    let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    /// Long names, pax headers, contents of several blocks, links: everything a cut can go through.
    private static let sample: TarBuilder = {
        var builder = TarBuilder()
        builder.add("./", type: "5", mode: 0o755)
        builder.add("./short", data: Array("some text".utf8))
        builder.add("././@LongLink", type: "L", data: Array((String(repeating: "long/", count: 30) + "name\u{0}").utf8))
        builder.add("cut", data: (0..<1_500).map { UInt8(truncatingIfNeeded: $0 &* 7919 >> 3) })
        builder.addPax(["path": "pax", "mtime": "1.5", "SCHILY.xattr.user.a": "value"])
        builder.add("x", type: "2", link: "short")
        builder.add("hard", type: "1", link: "short")
        return builder
    }()

    private static let compressors = ["gzip -n", "bzip2", "xz", "xz --check=crc32", "zstd -q --check", "lz4 -q"]

    private func code(_ bytes: some Collection<UInt8>) throws -> LXCError.Code? {
        let path = try scratch.write(Array(bytes), to: "damaged")
        return errorCode { _ = try readAll(path) }
    }

    @Test func plainArchiveCutAnywhereIsCorrupt() throws {
        // The first block of the end marker is required; what follows it is padding.
        let whole = Self.sample.finished()
        let entries = Self.sample.bytes.count
        for end in Array(stride(from: 0, through: entries, by: 64)) + Array(stride(from: 3, to: entries, by: 101)) {
            #expect(try code(whole[..<end]) == .corrupt, "cut at \(end)")
        }
        for blocks in [1, 2, 100] {
            #expect(try readAll(Self.sample.finished(markerBlocks: blocks)).entries.count == 5)
        }
    }

    @Test func errorNamesTheArchiveAndWhatIsMissing() throws {
        let path = try scratch.write(Self.sample.bytes, to: "archive")
        let error = #expect(throws: LXCError.self) { try readAll(path) }
        #expect(
            error?.message
                == "the archive \"\(path)\" is damaged: it ends without an end-of-archive marker; get it again")
    }

    @Test func onlyZerosMayFollowTheMarker() throws {
        let marked = Self.sample.finished()
        let record = marked + [UInt8](repeating: 0, count: (10_240 - marked.count % 10_240) % 10_240)
        #expect(try code(record + [1]) == .corrupt)
        #expect(try code(record + Self.sample.finished()) == .corrupt)
        #expect(try code(Self.sample.bytes + [UInt8](repeating: 0, count: 512) + Self.sample.finished()) == .corrupt)
        var dangling = Self.sample
        dangling.addPax(["path": "nothing"])
        #expect(try code(dangling.finished()) == .corrupt)
        #expect(try code(dangling.bytes) == .corrupt)
    }

    @Test func everyBitFlipInAHeaderIsSeen() throws {
        let whole = Self.sample.finished()
        // In the checksum itself the flip would make a blank of a leading zero, which is the same number.
        for position in 512..<1024 where position != 512 + 148 {
            var damaged = whole
            damaged[position] ^= 1 << UInt8(position % 8)
            #expect(try code(damaged) == .corrupt, "flipped at \(position)")
        }
    }

    @Test(arguments: compressors) func compressedArchiveCutAnywhereIsCorrupt(command: String) throws {
        let whole = try scratch.compress(Self.sample.finished(), with: command)
        #expect(try readAll(whole).entries.count == 5)
        for end in Array(stride(from: 0, to: whole.count, by: 3)) + [whole.count - 1] {
            #expect(try code(whole[..<end]) == .corrupt, "cut at \(end) of \(whole.count)")
        }
    }

    @Test(arguments: compressors) func everyFlippedBitIsFoundOrChangesNothing(command: String) throws {
        let whole = try scratch.compress(Self.sample.finished(), with: command)
        let entries = try readAll(whole).entries
        // The frame header of zstd has no checksum of its own: a damaged window can be too large.
        let codes: Set<LXCError.Code> = command.hasPrefix("zstd") ? [.corrupt, .limitExceeded] : [.corrupt]
        var found = 0
        for index in whole.indices {
            var damaged = whole
            damaged[index] ^= 1 << UInt8(index % 8)
            let path = try scratch.write(damaged, to: "damaged")
            do {
                let read = try readAll(path).entries
                #expect(read == entries, "flipped at \(index)")
            } catch let error as LXCError {
                #expect(codes.contains(error.code), "flipped at \(index): \(error)")
                found += 1
            }
        }
        // Some bits of a gzip header, such as its time, mean nothing to the contents.
        #expect(found > whole.count - 30)
    }
}
