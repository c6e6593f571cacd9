import FileTree
import LXCCore
import TarArchive
import TestSupport
import Testing

@Suite("Damaged archives", .timeLimit(.minutes(3)))
struct DamagedArchiveTests {
    /// Long names, pax headers, contents of several blocks: everything a cut can go through.
    private static var sample: TarBuilder {
        var tar = TarBuilder()
        tar.add("./", type: "5", mode: 0o755)
        tar.add("./short", data: Array("some text".utf8))
        tar.add("././@LongLink", type: "L", data: Array((String(repeating: "long/", count: 30) + "name\u{0}").utf8))
        tar.add("cut", data: (0..<1_500).map { UInt8(truncatingIfNeeded: $0 &* 31) })
        tar.addPax(["path": "pax", "mtime": "1.5"])
        tar.add("x", type: "2", linkTarget: "short")
        return tar
    }

    @Test("a plain archive cut at any block of its entries is corrupt")
    func plainCuts() throws {
        let scratch = try Scratch()
        let whole = Self.sample.finish()
        for end in stride(from: 0, through: Self.sample.bytes.count, by: 512) {
            let path = try scratch.store(whole[..<end])
            #expect(errorCode { _ = try readAll(path) } == .corrupt, "cut at \(end)")
        }
        for end in stride(from: 3, to: Self.sample.bytes.count, by: 101) {
            let path = try scratch.store(whole[..<end])
            #expect(errorCode { _ = try readAll(path) } == .corrupt, "cut at \(end)")
        }
        #expect(try readAll(Self.sample.finish(markerBlocks: 1)).entries.count == 4)
        #expect(try readAll(Self.sample.finish(markerBlocks: 100)).entries.count == 4)
    }

    @Test("the error says that the marker is missing, and where")
    func message() throws {
        let scratch = try Scratch()
        let path = try scratch.store(Self.sample.bytes)
        let error = #expect(throws: LXCError.self) { try readAll(path) }
        #expect(error?.message == "the archive \(path) is truncated: it ends without its end-of-archive marker")
    }

    @Test("only zeros may follow the marker")
    func afterMarker() throws {
        #expect(errorCode { _ = try readAll(Self.sample.finish() + [1]) } == .corrupt)
        #expect(errorCode { _ = try readAll(Self.sample.finish() + Self.sample.finish()) } == .corrupt)
        var dangling = Self.sample
        dangling.addPax(["path": "nothing"])
        #expect(errorCode { _ = try readAll(dangling.finish()) } == .corrupt)
        #expect(errorCode { _ = try readAll(dangling.bytes) } == .corrupt)
    }

    @Test("a compressed archive cut anywhere is corrupt", arguments: ["gzip", "bzip2", "xz", "zstd", "lz4"])
    func compressedCuts(program: String) throws {
        let scratch = try Scratch()
        let whole = try scratch.compress(Self.sample.finish(), with: program)
        #expect(try readAll(whole).entries.count == 4)
        for end in stride(from: 0, to: whole.count, by: 7) {
            let path = try scratch.store(whole[..<end])
            #expect(errorCode { _ = try readAll(path) } == .corrupt, "cut at \(end) of \(whole.count)")
        }
        let last = try scratch.store(whole.dropLast())
        #expect(errorCode { _ = try readAll(last) } == .corrupt)
    }

    @Test("a flipped bit is found, or changes nothing", arguments: ["gzip", "bzip2", "xz"])
    func flippedBits(program: String) throws {
        let scratch = try Scratch()
        let whole = try scratch.compress(Self.sample.finish(), with: program)
        let entries = try readAll(whole).entries
        var found = 0
        for index in whole.indices {
            var damaged = whole
            damaged[index] ^= 1 << UInt8(index % 8)
            let path = try scratch.store(damaged)
            do {
                let read = try readAll(path).entries
                #expect(read == entries, "flipped at \(index)")
            } catch let error as LXCError {
                #expect(error.code == .corrupt, "flipped at \(index): \(error)")
                found += 1
            }
        }
        // Some bits of a gzip header, such as its time, mean nothing to the contents.
        #expect(found > whole.count - 30)
    }

    @Test("gzip may have several members and zeros at the end, but nothing else")
    func gzipMembers() throws {
        let scratch = try Scratch()
        let plain = Self.sample.finish()
        let half = plain.count / 2
        let first = try scratch.compress(Array(plain[..<half]), with: "gzip")
        let second = try scratch.compress(Array(plain[half...]), with: "gzip")
        let empty = try scratch.compress([], with: "gzip")
        let zeros = [UInt8](repeating: 0, count: 700_000)
        let expected = try readAll(plain).entries
        #expect(try readAll(first + second).entries == expected)
        #expect(try readAll(empty + first + empty + second + empty).entries == expected)
        #expect(try readAll(first + second + zeros).entries == expected)
        for garbage in [[1], [0x1f], [0x1f, 0x8b], Array("garbage".utf8), zeros + [1], zeros + first] as [[UInt8]] {
            #expect(errorCode { _ = try readAll(first + second + garbage) } == .corrupt, "\(garbage.suffix(9))")
        }
        #expect(errorCode { _ = try readAll(first) } == .corrupt)
        #expect(errorCode { _ = try readAll(first + second.dropLast(3)) } == .corrupt)
    }

    @Test("garbage after other compressions is corrupt", arguments: ["bzip2", "xz", "zstd", "lz4"])
    func trailingGarbage(program: String) throws {
        let scratch = try Scratch()
        let whole = try scratch.compress(Self.sample.finish(), with: program)
        for garbage in ["x", "garbage", String(repeating: "g", count: 500_000)] {
            #expect(errorCode { _ = try readAll(whole + Array(garbage.utf8)) } == .corrupt, "\(garbage.count)")
        }
    }
}
