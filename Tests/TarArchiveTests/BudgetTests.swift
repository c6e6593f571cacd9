// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
import TarArchive
import TestSupport
import Testing

/// Whatever an archive can multiply is charged to a limit before it is made, and memory stays below 256 MiB.
@Suite(.limited)
struct BudgetTests {
    let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    private func archive(_ builder: TarBuilder) throws -> TarArchive {
        _ = try scratch.write(builder.finished(), to: "plain")
        try scratch.shell("gzip -1 -c plain > archive; rm plain")
        return TarArchive(scratch("archive"))
    }

    private func code(_ limits: TreeLimits = TreeLimits(), _ build: (inout TarBuilder) -> Void) async throws
        -> LXCError.Code?
    {
        var builder = TarBuilder()
        build(&builder)
        var options = TreeCopyOptions()
        options.limits = limits
        let archive = try archive(builder)
        return await failure { _ = try await TreeCopy.examine(archive, options: options) }?.code
    }

    @Test func impliedDirectoriesAreEntries() async throws {
        var limits = TreeLimits()
        limits.entries = 100
        let build = { (depth: Int) in
            { @Sendable (builder: inout TarBuilder) in
                for index in 0..<10 {
                    builder.addPax(["path": "d\(index)/" + String(repeating: "a/", count: depth - 1) + "f"])
                    builder.add("f")
                }
            }
        }
        #expect(try await code(limits, build(9)) == nil)
        #expect(try await code(limits, build(10)) == .limitExceeded)
    }

    @Test func impliedDirectoriesAreRefusedBeforeTheyAreMade() async throws {
        var builder = TarBuilder()
        builder.addPax(["path": String(repeating: "a/", count: 500) + "f"])
        builder.add("f")
        var options = TreeCopyOptions()
        options.limits.entries = 100
        options.destinationMap = try IDMap.ofTestUser()
        let archive = try archive(builder)
        let refused = await failure {
            _ = try await TreeCopy.run(from: archive, to: scratch.tree("t"), options: options)
        }
        #expect(refused?.code == .limitExceeded)
        #expect(try scratch.shell("ls -A") == "archive")
    }

    @Test func attributesOfAllEntriesCount() async throws {
        let value = [UInt8](repeating: 1, count: 65_000)
        let global = { @Sendable (builder: inout TarBuilder) in
            builder.addPax([("SCHILY.xattr.user.a", value)], type: "g")
            for index in 0..<100 { builder.add("f\(index)") }
        }
        var limits = TreeLimits()
        limits.allocatedBytes = ByteCount(101 * 65_100)
        #expect(try await code(limits, global) == nil)
        limits.allocatedBytes = ByteCount(50 * 65_000)
        #expect(try await code(limits, global) == .limitExceeded)
    }

    @Test func attributesCountAsExpansion() async throws {
        let attributes = (0..<15).map { ("SCHILY.xattr.user.a\($0)", [UInt8](repeating: 1, count: 65_000)) }
        let global = { @Sendable (builder: inout TarBuilder) in
            builder.addPax(attributes, type: "g")
            for index in 0..<200 { builder.add("f\(index)") }
        }
        var limits = TreeLimits()
        limits.expansionRatio = 1_000_000
        #expect(try await code(limits, global) == nil)
        #expect(try await code(TreeLimits(), global) == .limitExceeded)
    }

    @Test func headersOfOneEntryCountTogether() async throws {
        let comment = [UInt8](repeating: UInt8(ascii: "c"), count: 1 << 20)
        let headers = { (count: Int) in
            { @Sendable (builder: inout TarBuilder) in
                for _ in 0..<count { builder.addPax([("comment", comment)]) }
                builder.add("f")
            }
        }
        #expect(try await code(build: headers(3)) == nil)
        #expect(try await code(build: headers(4)) == .limitExceeded)
    }

    private func code(build: (inout TarBuilder) -> Void) async throws -> LXCError.Code? {
        try await code(TreeLimits(), build)
    }

    @Test func recordsOfAllEntriesAreBoundedAndShared() async throws {
        let global = { (size: Int) in
            { @Sendable (builder: inout TarBuilder) in
                for index in 0..<8 {
                    builder.addPax([("SCHILY.xattr.user.\(index)", [UInt8](repeating: 1, count: size))], type: "g")
                    builder.add("f")
                }
            }
        }
        var limits = TreeLimits()
        limits.attributeBytes = 1 << 20
        #expect(try await code(limits, global(100_000)) == nil)
        #expect(try await code(limits, global(600_000)) == .limitExceeded)
    }

    /// Comments for all entries, and a small header for each: none is copied for the other.
    @Test func commentsForAllCostNothing() throws {
        var builder = TarBuilder()
        let comment = [UInt8](repeating: 1, count: 3_000_000)
        for index in 0..<30 {
            builder.addPax([("comment\(index)", comment)], type: "g")
            builder.add("g\(index)")
        }
        for index in 0..<2_000 {
            builder.addPax(["mtime": "1.5"])
            builder.add("f\(index)")
        }
        _ = try archive(builder)
        let probe = try TreeProbe(scratch("archive"), "expansionRatio=1000000")
        #expect(probe.entries == 2_031)
        #expect(probe.peak < 128, "\(probe.peak) MiB")
    }

    @Test func attributesInBatchesAreWeighed() throws {
        var builder = TarBuilder()
        let attributes = (0..<15).map { ("SCHILY.xattr.user.a\($0)", [UInt8](repeating: 0, count: 65_000)) }
        for index in 0..<300 {
            builder.addPax(attributes)
            builder.add("f\(index)")
        }
        _ = try archive(builder)
        let probe = try TreeProbe(scratch("archive"))
        #expect(probe.entries == 301)
        #expect(probe.peak < 192, "\(probe.peak) MiB")
    }

    /// One byte of contents in each MiB of the archive: a byte keeps the block it came in.
    @Test func smallContentsFarApartKeepNoBlocks() throws {
        try scratch.shell(
            """
            python3 - <<'END' | gzip -1 > archive
            import sys, tarfile, io
            tar = tarfile.open(fileobj=sys.stdout.buffer, mode='w|', format=tarfile.USTAR_FORMAT)
            for index in range(1200):
                entry = tarfile.TarInfo('f%d' % index); entry.size = 1
                tar.addfile(entry, io.BytesIO(b'x'))
                entry = tarfile.TarInfo('d%d' % index); entry.type = b'D'; entry.size = 1 << 20
                tar.fileobj.write(entry.tobuf(tarfile.USTAR_FORMAT)); tar.fileobj.write(bytes(1 << 20))
            tar.close()
            END
            """)
        let probe = try TreeProbe(scratch("archive"))
        #expect(probe.entries == 2_401)
        #expect(probe.peak < 192, "\(probe.peak) MiB")
    }

    @Test func kindsOfLossesAreBounded() async throws {
        var builder = TarBuilder()
        for index in 0..<50 {
            builder.addPax((0..<200).map { ("LIBARCHIVE.xattr.n\(index).\($0)", [UInt8(ascii: "!")]) })
            builder.add("f\(index)")
        }
        let losses = try await TreeCopy.examine(archive(builder)).losses
        #expect(losses.kinds.count <= TreeLosses.maximumKinds + 1)
        #expect(losses.kinds.values.reduce(0) { $0 + $1.count } == 10_000)
        #expect((losses.kinds["other"]?.count ?? 0) >= 9_800)
        var all = losses
        all.merge(losses)
        #expect(all.kinds.count <= TreeLosses.maximumKinds + 1)
        #expect(all.kinds.values.reduce(0) { $0 + $1.count } == 20_000)
    }

    @Test func dataNobodyReadsCounts() async throws {
        var limits = TreeLimits()
        limits.allocatedBytes = ByteCount(100_000)
        let data = { @Sendable (size: Int) in
            { @Sendable (builder: inout TarBuilder) in
                builder.add("d", type: "D", data: [UInt8](repeating: 1, count: size))
            }
        }
        #expect(try await code(limits, data(90_000)) == nil)
        #expect(try await code(limits, data(110_000)) == .limitExceeded)
    }

    @Test(arguments: [(1, nil), (128, nil), (129, .limitExceeded), (1_024, .limitExceeded)] as [(Int, LXCError.Code?)])
    func windowOfLZMAInZipIsLimited(window: Int, expected: LXCError.Code?) async throws {
        var builder = TarBuilder()
        builder.add("file", data: [UInt8](repeating: 5, count: 5_000))
        _ = try scratch.write(builder.finished(), to: "tar")
        try scratch.shell(
            """
            python3 - <<'END'
            import lzma, struct, zlib
            source = open('tar', 'rb').read(); window = \(window) << 20; crc = zlib.crc32(source)
            filters = [{'id': lzma.FILTER_LZMA1, 'dict_size': 1 << 20, 'lc': 3, 'lp': 0, 'pb': 2}]
            packer = lzma.LZMACompressor(format=lzma.FORMAT_RAW, filters=filters)
            body = struct.pack('<HHBI', 0x0414, 5, 0x5d, window) + packer.compress(source) + packer.flush()
            name = b'a.tar'
            common = (63, 2, 14, 0, 0x21, crc, len(body), len(source), len(name), 0)
            local = struct.pack('<IHHHHHIIIHH', 0x04034b50, *common) + name
            central = struct.pack('<IHHHHHHIIIHHHHHII', 0x02014b50, 63 | 0x300, *common, 0, 0, 0, 0o100644 << 16, 0) + name
            end = struct.pack('<IHHHHIIH', 0x06054b50, 0, 0, 1, 1, len(central), len(local) + len(body), 0)
            open('zip', 'wb').write(local + body + central + end)
            END
            """)
        let archive = TarArchive(scratch("zip"))
        #expect(await failure { _ = try await TreeCopy.examine(archive) }?.code == expected)
    }
}
