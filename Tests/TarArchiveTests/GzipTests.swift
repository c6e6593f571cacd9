// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
import TarArchive
import TestSupport
import Testing

/// gzip's headers and trailers, and where one member ends and the next begins: the same with every engine, and however
/// the file is cut into chunks.
@Suite(.limited)
struct GzipTests {
    let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    private static let chunks = [1, 2, 3, 5, 7, 8, 9, 13, 64, 1 << 20]

    private static let sample: [UInt8] = {
        var builder = TarBuilder()
        builder.add("file", data: (0..<3_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 2) })
        return builder.finished()
    }()

    /// A member with the header fields that are given, its contents and trailer taken from gzip(1).
    private func member(flags: UInt8, fields: [UInt8], headerChecksum: Bool = false) throws -> [UInt8] {
        let packed = try scratch.compress(Self.sample, with: "gzip -n")
        var header = [0x1F, 0x8B, 8, flags | (headerChecksum ? 2 : 0), 1, 2, 3, 4, 0, 3] + fields
        if headerChecksum {
            let crc = Self.crc32(header)
            header += [UInt8(truncatingIfNeeded: crc), UInt8(truncatingIfNeeded: crc >> 8)]
        }
        return header + packed.dropFirst(10)
    }

    /// CRC-32 as RFC 1952 defines it.
    private static func crc32(_ bytes: [UInt8]) -> UInt32 {
        var crc = UInt32.max
        for byte in bytes {
            crc ^= UInt32(byte)
            for _ in 0..<8 {
                let isOdd = crc & 1 != 0
                crc >>= 1
                if isOdd { crc ^= 0xEDB8_8320 }
            }
        }
        return ~crc
    }

    private static let extra: [UInt8] = [6, 0, 65, 66, 2, 0, 1, 0]
    private static let name = Array("a name".utf8) + [0]
    private static let comment = Array("a longer comment".utf8) + [0]

    @Test(arguments: Packing.gzip) func headersMayHaveEveryField(packing: Packing) throws {
        let entries = try readAll(Self.sample).entries
        let headers: [(UInt8, [UInt8])] = [
            (0, []), (1, []), (4, Self.extra), (4, [0, 0]), (8, Self.name), (8, [0]), (16, Self.comment),
            (4 + 8, Self.extra + Self.name), (1 + 4 + 8 + 16, Self.extra + Self.name + Self.comment),
        ]
        for (flags, fields) in headers {
            for headerChecksum in [false, true] {
                let packed = try member(flags: flags, fields: fields, headerChecksum: headerChecksum)
                for chunkBytes in Self.chunks {
                    let packing = packing.reading(chunkBytes: chunkBytes)
                    #expect(try packing.read(packed, in: scratch) == entries, "\(flags) \(chunkBytes)")
                }
            }
        }
    }

    @Test(arguments: Packing.gzip) func everyByteOfACheckedHeaderMatters(packing: Packing) throws {
        let packed = try member(
            flags: 4 + 8 + 16, fields: Self.extra + Self.name + Self.comment, headerChecksum: true)
        for index in 0..<(10 + Self.extra.count + Self.name.count + Self.comment.count + 2) {
            var damaged = packed
            damaged[index] ^= 0x04
            // What no longer begins like gzip is taken for a plain archive, which it is not either.
            #expect(errorCode { _ = try packing.read(damaged, in: scratch) } == .corrupt, "at \(index)")
        }
    }

    @Test(arguments: Packing.gzip) func unknownFlagsAndMethodsAreCorrupt(packing: Packing) throws {
        for flag in [0x20, 0x40, 0x80] as [UInt8] {
            let packed = try member(flags: flag, fields: [])
            #expect(errorCode { _ = try packing.read(packed, in: scratch) } == .corrupt, "\(flag)")
        }
        var packed = try member(flags: 0, fields: [])
        packed[2] = 7
        expect(.corrupt) { _ = try packing.read(packed, in: scratch) }
    }

    @Test(arguments: Packing.gzip) func checksumAndLengthBothMatter(packing: Packing) throws {
        let packed = try member(flags: 0, fields: [])
        for back in 1...8 {
            var damaged = packed
            damaged[packed.count - back] &+= 1
            let error = expect(.corrupt) { try packing.read(damaged, in: scratch) }
            #expect(error?.message.contains(back > 4 ? "its checksum" : "its length") == true, "\(back)")
        }
        // The right checksum of the wrong contents: a member without any, before the trailer of another.
        let empty = try scratch.compress([], with: "gzip -n")
        let mixed = empty.dropLast(8) + packed.suffix(8)
        expect(.corrupt) { _ = try packing.read(mixed, in: scratch) }
    }

    /// Where deflate data ends, decoders have read ahead: the bytes belong to the trailer, wherever the chunks end.
    @Test(arguments: Packing.gzip) func membersOfEveryLengthFollowEachOther(packing: Packing) throws {
        var random = SeededRandom(seed: 1952)
        var builder = TarBuilder()
        builder.add("file", data: (0..<60_000).map { UInt8(truncatingIfNeeded: random.next() >> ($0 / 8_000)) })
        let plain = builder.finished()
        _ = try scratch.write(plain, to: "plain")
        var cuts = (0..<120).map { _ in Int.random(in: 0...plain.count, using: &random) }
        cuts = ([0, plain.count, 1, 2, 3] + cuts).sorted()
        try scratch.shell(
            zip(cuts, cuts.dropFirst()).enumerated().map { index, cut in
                "tail -c +\(cut.0 + 1) plain | head -c \(cut.1 - cut.0) | gzip -n\(index % 9 + 1) >> packed\n"
            }.joined())
        let packed = try scratch.read("packed")
        let entries = try readAll(plain).entries
        for chunkBytes in Self.chunks {
            #expect(try packing.reading(chunkBytes: chunkBytes).read(packed, in: scratch) == entries, "\(chunkBytes)")
        }
    }

    @Test(arguments: Packing.gzip) func damageFarInsideIsSeen(packing: Packing) throws {
        try scratch.shell("mkdir t; seq 300000 > t/f; tar -C t -c . | gzip -1 > packed")
        var packed = try scratch.read("packed")
        // Stored as literals somewhere in the middle: most such flips decode to other letters, and only the CRC tells.
        for position in (packed.count / 2)..<(packed.count / 2 + 400) { packed[position] ^= 0x10 }
        expect(.corrupt) { _ = try packing.read(packed, in: scratch) }
    }
}
