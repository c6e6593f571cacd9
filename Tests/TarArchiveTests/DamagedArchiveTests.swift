import FileTree
import LXCCore
import TarArchive
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(3)))
struct DamagedArchiveTests {
    let scratch: TreeScratch
    let archive: [UInt8]
    let digest: TreeDigest?

    init() async throws {
        scratch = try TreeScratch()
        var builder = TreeTarBuilder()
        builder.add("./", type: "5", mode: 0o755)
        builder.add("file", data: (0..<1500).map { UInt8(truncatingIfNeeded: $0 &* 7919 >> 3) })
        builder.addPax(["path": "a longer name", "SCHILY.xattr.user.a": "value"])
        builder.add("x", data: Array("contents".utf8))
        builder.add("link", type: "2", link: "file")
        builder.add("hard", type: "1", link: "file")
        archive = builder.finished()
        digest = try await TreeCopy.examine(TarArchive(scratch.write(archive, to: "whole"))).digest
    }

    private func examine(_ bytes: [UInt8]) async throws -> TreeSummary {
        try await TreeCopy.examine(TarArchive(scratch.write(bytes, to: "damaged")))
    }

    @Test func everyTruncationOfAPlainArchiveIsSeen() async throws {
        // The first block of the end marker is required; what follows it is padding.
        for length in stride(from: 0, through: archive.count - 1024, by: 64) {
            let refused = await failure { _ = try await examine(Array(archive[..<length])) }
            #expect(refused?.code == .corrupt, "\(length)")
        }
        #expect(try await examine(Array(archive.dropLast(512))).digest == digest)
        #expect(try await examine(archive + [UInt8](repeating: 0, count: 9_000)).digest == digest)
    }

    @Test func everyBitFlipInAHeaderIsSeen() async throws {
        for position in stride(from: 512, to: 1024, by: 3) where archive[position] != 0 {
            var damaged = archive
            damaged[position] ^= 1
            let refused = await failure { _ = try await examine(damaged) }
            #expect(refused?.code == .corrupt, "\(position)")
        }
    }

    @Test(arguments: ["gzip -n", "bzip2", "xz", "xz --check=crc32", "zstd -q --check", "lz4 -q"])
    func truncationAndGarbageOfACompressedArchiveAreSeen(program: String) async throws {
        try scratch.shell("\(program) -c whole > packed")
        let packed = try scratch.read("packed")
        #expect(try await examine(packed).digest == digest)
        for length in stride(from: 0, to: packed.count, by: 5) {
            let refused = await failure { _ = try await examine(Array(packed[..<length])) }
            #expect(refused?.code == .corrupt, "\(length) of \(packed.count)")
        }
        let short = await failure { _ = try await examine(packed.dropLast()) }
        #expect(short?.code == .corrupt)
        let garbage = await failure { _ = try await examine(packed + Array("garbage".utf8)) }
        #expect(garbage?.code == .corrupt)
        // Padding is harmless, but zstd(1) refuses it as well.
        if !program.hasPrefix("zstd") {
            #expect(try await examine(packed + [UInt8](repeating: 0, count: 1024)).digest == digest)
        }
    }

    @Test(arguments: ["gzip -n", "bzip2", "xz", "zstd -q --check", "lz4 -q"])
    func bitFlipsOfACompressedArchiveAreSeenOrHarmless(program: String) async throws {
        try scratch.shell("\(program) -c whole > packed")
        let packed = try scratch.read("packed")
        for position in stride(from: 0, to: packed.count, by: 3) {
            var damaged = packed
            damaged[position] ^= 1 << UInt8(position % 8)
            do {
                let found = try await examine(damaged).digest
                #expect(found == digest, "\(position)")
            } catch let error as LXCError {
                #expect([.corrupt, .limitExceeded].contains(error.code), "\(position) \(error)")
            }
        }
    }

    @Test func flippedBytesOfALargeGzipFileAreSeen() async throws {
        try scratch.shell("mkdir t; seq 300000 > t/f; tar -C t -c . | gzip -1 > packed")
        var packed = try scratch.read("packed")
        // Stored as literals somewhere in the middle: most such flips decode to other letters, and only the CRC tells.
        for position in stride(from: packed.count / 2, to: packed.count / 2 + 400, by: 1) { packed[position] ^= 0x10 }
        let refused = await failure { _ = try await examine(packed) }
        #expect(refused?.code == .corrupt)
    }
}
