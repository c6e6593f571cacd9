// SPDX-License-Identifier: Apache-2.0

import FileTree
import Glibc
import LXCCore
import LinuxSystem
import TarArchive
import TestSupport
import Testing

/// Sources whose blocks cannot be read any more.
@Suite(.tags(.host), .limited, .host(.root))
struct UnreadableSourceTests {
    let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    /// Makes a file system with the tree `source`, in which the blocks of the file `unreadable` are behind those of
    /// everything else, and cuts the image a MiB after its first.
    private func makeDamaged(contents: String = "head -c 4M /dev/urandom") throws -> LoopFileSystem {
        let damaged = try LoopFileSystem(.ext4, megabytes: 96, options: "-b 4096 -O ^has_journal")
        // Its blocks are taken in one piece before anything is written: else memory that is short writes the file in
        // parts, and later parts may lie before earlier ones.
        let start = try damaged.shell(
            """
            mkdir source; cd source
            for i in $(seq 50); do printf text > $i; done; sync -f .
            \(contents) > ../contents
            fallocate -l 30M ../front; fallocate -l $(stat -c %s ../contents) unreadable; cat ../contents 1<> unreadable
            rm ../front ../contents; sync -f .
            filefrag -v unreadable | awk '$1 == "0:" { print int($4) }'
            """)
        try damaged.dropCache(of: "source/unreadable")
        try damaged.besideImage("truncate -s $((\(start) * 4096 + (1 << 20))) image")
        return damaged
    }

    @Test(arguments: [true, false]) func fileIsNamedAndNothingIsLeft(digest: Bool) async throws {
        let damaged = try makeDamaged()
        var options = TreeCopyOptions()
        options.computesDigest = digest
        let failure = await expect(.io) { [options] in
            _ = try await TreeCopy.run(
                from: LocalTree(damaged("source")), to: self.scratch.tree("clone"), options: options)
        }
        #expect((failure?.cause as? SystemCallError)?.errno == EIO)
        #expect(failure?.message.contains("unreadable") == true, "\(String(describing: failure))")
        #expect(try scratch.shell("ls -A").isEmpty)
    }

    @Test func digestIsNotGiven() async throws {
        let damaged = try makeDamaged()
        let failure = await error { _ = try await TreeCopy.examine(LocalTree(damaged("source"))) }
        #expect(failure?.message.contains("unreadable") == true, "\(String(describing: failure))")
    }

    @Test(arguments: ["cat", "gzip -1", "xz -0", "zstd -q"]) func archiveIsNamedAndNothingIsLeft(pack: String)
        async throws
    {
        let damaged = try makeDamaged(
            contents: "head -c 4M /dev/urandom > ../data; tar -C .. -c data | \(pack)")
        let failure = await error {
            _ = try await TreeCopy.run(from: TarArchive(damaged("source/unreadable")), to: self.scratch.tree("clone"))
        }
        #expect(failure?.message.contains("unreadable") == true, "\(String(describing: failure))")
        #expect(try scratch.shell("ls -A").isEmpty)
    }
}
