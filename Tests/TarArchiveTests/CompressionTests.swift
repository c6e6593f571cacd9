// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
import TarArchive
import TestSupport
import Testing

@Suite(.limited)
struct CompressionTests {
    let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    private static var sample: [UInt8] {
        var builder = TarBuilder()
        builder.add("file", data: (0..<3_000).map { UInt8(truncatingIfNeeded: $0 &* 31) })
        builder.add("link", type: "2", link: "file")
        return builder.finished()
    }

    @Test func gzipMayHaveSeveralMembersAndZerosAtTheEndButNothingElse() throws {
        let plain = Self.sample
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
        expect(.corrupt) { _ = try readAll(first) }
        expect(.corrupt) { _ = try readAll(first + second.dropLast(3)) }
    }

    @Test(arguments: ["bzip2", "xz", "zstd -q", "lz4 -q"])
    func garbageAfterOtherCompressionsIsCorrupt(command: String) throws {
        let whole = try scratch.compress(Self.sample, with: command)
        for garbage in ["x", "garbage", String(repeating: "g", count: 500_000)] {
            #expect(errorCode { _ = try readAll(whole + Array(garbage.utf8)) } == .corrupt, "\(garbage.count)")
        }
    }

    // zstd(1) refuses padding as well.
    @Test(arguments: ["gzip", "bzip2", "xz", "lz4 -q"]) func paddingAfterTheEndIsHarmless(command: String) async throws
    {
        let packed = try scratch.compress(Self.sample, with: command)
        let padded = TarArchive(try scratch.write(packed + [UInt8](repeating: 0, count: 1024), to: "padded"))
        let plain = TarArchive(try scratch.write(Self.sample, to: "plain"))
        #expect(try await TreeCopy.examine(padded).digest == TreeCopy.examine(plain).digest)
    }

    @Test(arguments: ["gzip", "xz"]) func compressedTwiceIsNoArchive(command: String) throws {
        let packed = try scratch.compress(scratch.compress(Self.sample, with: command), with: command)
        expect(.unsupported) { _ = try readAll(packed) }
    }

    @Test func plainArchiveThatBeginsLikeLzmaIsPlain() throws {
        var builder = TarBuilder()
        builder.add("]", data: [1])
        #expect(try readAll(builder.finished()).entries.map(\.path) == ["]"])
    }
}
