// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
import TarArchive
import TestSupport
import Testing

@Suite(.limited)
struct SparseFileTests {
    let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    @Test func formatsAgree() async throws {
        try scratch.shell(
            """
            mkdir t; truncate -s 3M t/f; for i in $(seq 40); do printf x$i | dd of=t/f bs=1 seek=$((i*70000)) conv=notrunc \\
            status=none; done; touch -d @5 t t/f
            tar -C t --sort=name --numeric-owner -Sc --format=gnu -f gnu.tar .
            for v in 0.0 0.1 1.0; do
                tar -C t --sort=name --numeric-owner -Sc --format=posix --pax-option=delete=atime,delete=ctime \\
                    --sparse-version=$v -f $v.tar .
            done
            tar -C t --sort=name --numeric-owner -c --format=gnu -f whole.tar .
            """)
        let expected = try await TreeCopy.examine(scratch.tree("t")).digest
        for name in ["gnu.tar", "0.0.tar", "0.1.tar", "1.0.tar", "whole.tar"] {
            let summary = try await TreeCopy.examine(TarArchive(scratch(name)))
            #expect(summary.digest == expected, "\(name)")
            #expect(summary.logicalBytes == .mebibytes(3), "\(name)")
            if name != "whole.tar" { #expect(summary.allocatedBytes < .mebibytes(1), "\(name)") }
        }
    }

    @Test(arguments: [
        "--format=gnu", "--format=pax --sparse-version=0.0", "--format=pax --sparse-version=0.1",
        "--format=pax --sparse-version=1.0",
    ])
    func hugeFilesComeInPieces(format: String) throws {
        try scratch.shell(
            """
            truncate -s 50G sparse; head -c 4096 /dev/zero | tr '\\0' x > piece
            for at in 1M 40G; do dd if=piece of=sparse bs=4096 seek=$at oflag=seek_bytes conv=notrunc status=none; done
            tar -S \(format) -cf archive sparse
            """)
        let file = try #require(try readAll(scratch("archive")).entries.first)
        #expect(file.path == "sparse")
        #expect(file.entry.kind == .file(size: 50 << 30))
        let filled = file.pieces.filter { $0.bytes.contains { $0 != 0 } }
        #expect(filled.map(\.offset) == [1 << 20, 40 << 30])
        let piece = try scratch.read("piece")
        #expect(filled.flatMap(\.bytes) == piece + piece)
    }

    @Test(arguments: ["4,4,2,4", "8,4,0,4", "60,8,0,0", "18446744073709551615,8", "0,50000", "0,4", "0,8,8", "x,8", ""])
    func mapsThatOverlapDescendOrLeaveTheFileAreCorrupt(map: String) {
        var builder = TarBuilder()
        builder.addPax([
            "GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.size": "64", "GNU.sparse.map": map,
        ])
        builder.add("sparse", data: [UInt8](repeating: 1, count: 8))
        expect(.corrupt) { _ = try readAll(builder.finished()) }
    }

    @Test(arguments: ["9000000\n", "99999999999999999999\n"]) func mapsWithoutEndAreRefused(count: String) throws {
        var builder = TarBuilder()
        builder.addPax(["GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "1"])
        builder.add("sparse", data: Array((count + String(repeating: "0\n0\n", count: 4 << 20)).utf8))
        let code = errorCode { _ = try readAll(builder.finished()) }
        #expect(code == (count.count > 12 ? .corrupt : .limitExceeded))
    }
}
