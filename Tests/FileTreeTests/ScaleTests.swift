// SPDX-License-Identifier: Apache-2.0

import FileTree
import Foundation
import LXCCore
import TarArchive
import TestSupport
import Testing

/// Memory does not grow with the number of entries, nor work with the square of their depth. The whole, five million
/// entries, is `fiveMillion`, which runs when LXC_SCALE_TESTS is set.
@Suite(.tags(.slow), .timeLimit(.minutes(30)), .serialized)
struct ScaleTests {
    let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    enum Shape: String, CaseIterable {
        /// All in one directory; a hundred in each of many; directories; one name again and again; names of one file;
        /// two names of each of many files.
        case one, many, dirs, dup, links, pairs
    }

    /// Writes an archive of small entries.
    private func archive(_ shape: Shape, _ count: Int) throws -> String {
        try scratch.shell(
            """
            python3 - \(shape.rawValue) \(count) <<'END' > \(shape.rawValue)-\(count)
            import sys, tarfile
            kind, count = sys.argv[1], int(sys.argv[2]); out = sys.stdout.buffer
            # tarfile makes one header of each kind; names and checksum are replaced, which is ten times as fast.
            headers = {}
            def header(type, size):
                info = tarfile.TarInfo(''); info.size = size; info.type = type
                made = info.tobuf(tarfile.USTAR_FORMAT)
                made = bytes(100) + made[100:148] + b' ' * 8 + made[156:157] + bytes(100) + made[257:]
                return made, sum(made)
            def entry(name, data=b'', type=tarfile.REGTYPE, link=''):
                name, link, key = name.encode(), link.encode(), (type, len(data))
                if key not in headers: headers[key] = header(*key)
                made, total = headers[key]
                checksum = b'%06o\\0 ' % (total + sum(name) + sum(link))
                out.write(name.ljust(100, b'\\0') + made[100:148] + checksum + made[156:157]
                    + link.ljust(100, b'\\0') + made[257:] + data + bytes(-len(data) % 512))
            if kind == 'links': entry('f', b'x')
            for i in range(count):
                if kind == 'one': entry('d/file%07d' % i)
                elif kind == 'many': entry('d%05d/file%07d' % (i // 100, i))
                elif kind == 'dirs': entry('d%07d' % i, type=tarfile.DIRTYPE)
                elif kind == 'dup': entry('d/same')
                elif kind == 'links': entry('l%07d' % i, type=tarfile.LNKTYPE, link='f')
                elif i % 2 == 0: entry('a%07d' % i)
                else: entry('b%07d' % (i * 7919 % 1000003), type=tarfile.LNKTYPE, link='a%07d' % (i - 1))
            out.write(bytes(1024))
            END
            """)
        return scratch("\(shape.rawValue)-\(count)")
    }

    @Test(arguments: [Shape.one, .dirs, .pairs]) func memoryOfReadingAnArchiveIsFlat(shape: Shape) throws {
        let small = try TreeProbe(archive(shape, 70_000))
        let large = try TreeProbe(archive(shape, 140_000))
        #expect(large.entries > 3 * small.entries / 2 || shape == .dup)
        #expect(large.peak < small.peak + 32, "\(small.peak) MiB and \(large.peak) MiB")
        #expect(large.peak < 160, "\(large.peak) MiB")
    }

    /// Every step of the way has spilled, and another piece of code computes the digest of what was unpacked.
    @Test(.host(.root), arguments: [Shape.pairs])
    func manyEntriesHaveTheDigestOfTheirDirectory(shape: Shape) throws {
        let archive = try archive(shape, 80_000)
        let read = try TreeProbe(archive)
        let unpacked = try TreeProbe(archive, scratch("tree"))
        let walked = try TreeProbe(scratch("tree"))
        let cloned = try TreeProbe(scratch("tree"), scratch("clone"))
        let packed = try TreeProbe(scratch("tree"), scratch("packed.tar"))
        let again = try TreeProbe(scratch("packed.tar"))
        for probe in [unpacked, walked, cloned, packed, again] {
            #expect(probe.outcome == read.outcome)
            #expect(probe.entries == read.entries)
            #expect(probe.peak < 160, "\(probe.peak) MiB")
        }
        try scratch.shell("rm -rf tree clone")
    }

    @Test(.host(.root)) func deepTreesAreWalkedClonedPackedAndRemoved() async throws {
        let depth = 3_000
        try scratch.shell(
            """
            mkdir tree; python3 -c "
            import os
            os.chdir('tree')
            for i in range(\(depth)): os.mkdir('a'); open('f', 'w').close(); os.chdir('a')"
            """)
        var options = TreeCopyOptions()
        options.limits.depth = depth + 1
        let read = try await TreeCopy.examine(scratch.tree("tree"), options: options)
        #expect(read.counts.directories == UInt64(depth) + 1)
        let cloned = try await TreeCopy.run(from: scratch.tree("tree"), to: scratch.tree("clone"), options: options)
        let packed = try await TreeCopy.run(
            from: scratch.tree("tree"), to: TarArchive(scratch("packed.tar")), options: options)
        let unpacked = try await TreeCopy.run(
            from: TarArchive(scratch("packed.tar")), to: scratch.tree("unpacked"), options: options)
        for summary in [cloned, packed, unpacked] { #expect(summary.digest == read.digest) }
        for name in ["tree", "clone", "unpacked"] { try await scratch.tree(name).remove() }
        #expect(try scratch.shell("ls -A") == "packed.tar")
    }

    @Test(
        .enabled(if: ProcessInfo.processInfo.environment["LXC_SCALE_TESTS"] != nil), arguments: Shape.allCases)
    func fiveMillion(shape: Shape) throws {
        let probe = try TreeProbe(archive(shape, 4_900_000))
        #expect(probe.peak < 256, "\(probe.peak) MiB")
    }
}
