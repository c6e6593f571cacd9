// SPDX-License-Identifier: Apache-2.0

import FileTree
import Glibc
import LXCCore
import LinuxSystem
import TarArchive
import TestSupport
import Testing

/// Copies to file systems that run full, or that lose what they were given: an error, and nothing that looks like a
/// tree.
@Suite(.tags(.host), .limited, .host(.root), .serialized)
struct FullFileSystemTests {
    let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    /// A copy that does not fit, as text so that a failure says which.
    enum Copy: String, CaseIterable, Sendable {
        case unpack
        case unpackWithoutDigest
        case clone
        case cloneWithoutDigest
    }

    private func run(_ copy: Copy, to destination: String) async -> LXCError? {
        var options = TreeCopyOptions()
        options.computesDigest = copy == .unpack || copy == .clone
        let isUnpack = copy == .unpack || copy == .unpackWithoutDigest
        let origin: any TreeOrigin = isUnpack ? TarArchive(scratch("source.tar")) : scratch.tree("source")
        return await error { [options] in
            _ = try await TreeCopy.run(from: origin, to: LocalTree(destination), options: options)
        }
    }

    /// Makes the tree `source` and the archive `source.tar`.
    private func makeSource(_ script: String) throws {
        try scratch.shell("mkdir source; cd source; \(script)\ntar -cf ../source.tar .")
    }

    private func number(_ error: LXCError?) -> CInt? { (error?.cause as? SystemCallError)?.errno }

    @Test(arguments: Copy.allCases, LoopFileSystem.Kind.allCases)
    func noSpaceLeavesNothing(copy: Copy, kind: LoopFileSystem.Kind) async throws {
        let megabytes = kind == .ext4 ? 24 : kind == .btrfs ? 120 : 300
        let full = try LoopFileSystem(kind, megabytes: megabytes)
        try makeSource(
            """
            for i in $(seq 64); do mkdir $i; head -c 100000 /dev/urandom > $i/file; ln -s file $i/link; done
            head -c 12M /dev/urandom > large
            """)
        // Less than the copy needs is left.
        try full.shell("mkdir keep; fallocate -l $(($(stat -f -c '%a*%S' .) - (10 << 20))) keep/filler; sync -f .")
        let failure = await run(copy, to: full("copy"))
        #expect(failure?.code == .io, "\(String(describing: failure))")
        #expect(number(failure) == ENOSPC, "\(String(describing: failure))")
        #expect(try full.list() == "keep")
        try full.shell("sync -f .; rm keep/filler; sync -f .")
        #expect(await run(copy, to: full("copy")) == nil)
        try full.shell("diff -r '\(scratch("source"))' copy")
    }

    @Test(arguments: Copy.allCases) func noInodeLeavesNothing(copy: Copy) async throws {
        let full = try LoopFileSystem(.ext4, megabytes: 24, options: "-N 256")
        try makeSource("for i in $(seq 20); do mkdir $i; for f in $(seq 20); do : > $i/$f; done; done")
        let before = try full.shell("stat -f -c %d .")
        let failure = await run(copy, to: full("copy"))
        #expect(failure?.code == .io, "\(String(describing: failure))")
        #expect(number(failure) == ENOSPC, "\(String(describing: failure))")
        #expect(try full.list().isEmpty)
        #expect(try full.shell("stat -f -c %d .") == before)
        try full.shell("for i in $(seq 200); do : > $i; done")
    }

    /// The file system takes everything and fails to write it: only making it durable tells.
    @Test(arguments: Copy.allCases) func whatCannotBeWrittenIsNotPublished(copy: Copy) async throws {
        // Without a journal the loss of a block does not end all writing, so that what was built can be removed.
        let options = "-O ^has_journal -E lazy_itable_init=1,nodiscard"
        let failing = try LoopFileSystem(.ext4, megabytes: 200, options: options, backing: 16)
        try makeSource("for i in $(seq 40); do head -c 1M /dev/urandom > $i; done")
        let failure = await run(copy, to: failing("copy"))
        #expect(failure?.code == .io, "\(String(describing: failure))")
        #expect(number(failure) == EIO || number(failure) == ENOSPC, "\(String(describing: failure))")
        #expect(try failing.list().isEmpty)
    }

    /// A journal that cannot be written makes the file system read-only; nothing can be removed then.
    @Test(arguments: Copy.allCases) func fileSystemThatTurnsReadOnlyShowsNoTree(copy: Copy) async throws {
        let failing = try LoopFileSystem(.ext4, megabytes: 200, options: "-E nodiscard", backing: 24)
        try makeSource("for i in $(seq 40); do head -c 1M /dev/urandom > $i; done")
        let failure = await run(copy, to: failing("copy"))
        #expect(failure != nil)
        #expect(try failing.shell("ls") == "lost+found")
    }
}
