// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
import TarArchive
import TestSupport
import Testing

/// What every decoder has to do, whatever it decodes.
@Suite(.limited)
struct DecoderTests {
    let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    /// Small, so that every bit can be flipped.
    private static let small: [UInt8] = {
        var builder = TarBuilder()
        builder.add("file", data: Array("contents".utf8))
        return builder.finished()
    }()

    private static let zeros = [UInt8](repeating: 0, count: 4_099)

    /// Most of it cannot be compressed.
    private static let large: [UInt8] = {
        var random = SeededRandom(seed: 7)
        var builder = TarBuilder()
        for index in 0..<9 {
            let count = Int.random(in: 0..<20_000, using: &random)
            builder.add(
                "file\(index)", data: (0..<count).map { $0 % 5 < 3 ? UInt8(truncatingIfNeeded: random.next()) : 7 })
        }
        return builder.finished()
    }()

    private func code(_ packing: Packing, _ bytes: some Collection<UInt8>) -> LXCError.Code? {
        errorCode { _ = try packing.read(bytes, in: scratch) }
    }

    @Test(arguments: Packing.all, [1 << 20, 4096, 61])
    func contentsArriveWholeHoweverTheFileIsCut(packing: Packing, chunkBytes: Int) throws {
        let packed = try packing.pack(Self.large, in: scratch)
        #expect(try packing.reading(chunkBytes: chunkBytes).read(packed, in: scratch) == readAll(Self.large).entries)
    }

    @Test(arguments: Packing.all) func cutAnywhereIsCorrupt(packing: Packing) throws {
        let whole = try packing.pack(Self.small, in: scratch)
        for end in whole.indices {
            #expect(code(packing, whole[..<end]) == .corrupt, "cut at \(end) of \(whole.count)")
        }
    }

    /// The formats without a checksum only promise not to crash, and to say what is wrong when they see it.
    @Test(arguments: Packing.each) func everyFlippedBitIsFoundOrChangesNothing(packing: Packing) throws {
        let whole = try packing.pack(Self.small, in: scratch)
        let entries = try packing.read(whole, in: scratch)
        // A flip may ask for a window that is too large, or, without a checksum, for an archive nobody would accept.
        var codes: Set<LXCError.Code> = [.corrupt]
        if packing.command.hasPrefix("zstd") || !packing.isChecked { codes.insert(.limitExceeded) }
        if !packing.isChecked { codes.formUnion([.unsafe, .unsupported]) }
        var found = 0
        for index in whole.indices {
            for bit in 0..<8 as Range<UInt8> {
                var damaged = whole
                damaged[index] ^= 1 << bit
                do {
                    let read = try packing.read(damaged, in: scratch)
                    if packing.isChecked { #expect(read == entries, "flipped bit \(bit) at \(index)") }
                } catch let error as LXCError {
                    #expect(codes.contains(error.code), "flipped bit \(bit) at \(index): \(error)")
                    found += 1
                }
            }
        }
        // Some bits mean nothing to the contents, such as the time in a gzip header, and among zeros a match's distance.
        if packing.isChecked { #expect(found > (whole.count - 10) * 7) }
    }

    @Test(arguments: Packing.chainable) func severalInARowAreOne(packing: Packing) throws {
        let half = Self.small.count / 2
        let first = try packing.pack(Array(Self.small[..<half]), in: scratch)
        let second = try packing.pack(Array(Self.small[half...]), in: scratch)
        let entries = try readAll(Self.small).entries
        #expect(try packing.read(first + second, in: scratch) == entries)
        #expect(try packing.reading(chunkBytes: 1).read(first + second, in: scratch) == entries)
        #expect(code(packing, first) == .corrupt)
        // An empty frame of lz4 makes libarchive believe in the end of the file.
        guard !packing.command.hasPrefix("lz4") else { return }
        let empty = try packing.pack([], in: scratch)
        #expect(try packing.read(empty + first + empty + second + empty, in: scratch) == entries)
    }

    @Test(arguments: Packing.all) func zerosMayFollowAndNothingElse(packing: Packing) throws {
        let whole = try packing.pack(Self.small, in: scratch)
        let entries = try packing.read(whole, in: scratch)
        for count in [1, 2, 3, 4, 1024, Self.zeros.count] {
            #expect(try packing.read(whole + Self.zeros[..<count], in: scratch) == entries, "\(count) zeros")
        }
        for garbage in [[1], Array("garbage".utf8), Array(whole[..<3]), Array(whole[..<7])] as [[UInt8]] {
            #expect(code(packing, whole + garbage) == .corrupt, "\(garbage)")
            #expect(code(packing, whole + Self.zeros + garbage) == .corrupt, "\(garbage)")
        }
    }

    @Test func streamsOfXzMayHavePaddingBetweenThem() throws {
        let packing = Packing("xz")
        let half = Self.small.count / 2
        let first = try packing.pack(Array(Self.small[..<half]), in: scratch)
        let second = try packing.pack(Array(Self.small[half...]), in: scratch)
        let entries = try readAll(Self.small).entries
        #expect(try packing.read(first + Self.zeros[..<4] + second, in: scratch) == entries)
        #expect(try packing.read(first + Self.zeros[..<2048] + second, in: scratch) == entries)
        for count in [1, 2, 3, 5] {
            #expect(code(packing, first + Self.zeros[..<count] + second) == .corrupt, "\(count)")
        }
    }

    @Test func framesOfZstdMayBeSkipped() throws {
        let packing = Packing("zstd -q")
        let frame: [UInt8] = [0x53, 0x2A, 0x4D, 0x18, 5, 0, 0, 0, 1, 2, 3, 4, 5]
        let whole = try packing.pack(Self.small, in: scratch)
        let entries = try readAll(Self.small).entries
        #expect(try packing.read(frame + whole + frame + frame, in: scratch) == entries)
        #expect(code(packing, whole + frame.dropLast()) == .corrupt)
    }

    @Test(arguments: Packing.gzip + [Packing("xz"), Packing("zstd -q")])
    func fileThatHoldsNothingForTooLongIsRefused(packing: Packing) throws {
        let packed = try packing.pack(Self.small, in: scratch)
        let empty = try packing.pack([], in: scratch)
        var packing = packing
        packing.reading.longestSilence = 4_096
        #expect(code(packing, packed + Self.zeros[..<4_000]) == nil)
        #expect(code(packing, packed + Self.zeros) == .limitExceeded)
        let few = [[UInt8]](repeating: empty, count: 3_000 / empty.count).flatMap { $0 }
        #expect(code(packing, few + packed + few + packed.prefix(1)) == .corrupt)
        #expect(code(packing, few + packed + few) == nil)
        #expect(code(packing, few + few + packed) == .limitExceeded)
    }
}
