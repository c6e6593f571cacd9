// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
import LinuxSystem
import TarArchive
import TestSupport
import Testing

@Suite(.tags(.host), .limited, .host(.root))
struct TarFidelityTests {
    /// GNU tar is everywhere, bsdtar where its package is installed.
    private static let writers = [
        "tar --format=posix --xattrs --xattrs-include='*' --acls --numeric-owner -S",
        "bsdtar --format=pax --xattrs --acls --numeric-owner",
    ].filter { writer in (try? TreeShell.run("command -v \(writer.prefix { $0 != " " })")) != nil }

    let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    @Test(arguments: writers, PathResolution.allCases)
    func archiveUnpackedAndCloneAreTheSame(writer: String, resolution: PathResolution) async throws {
        try TreeFixture.make("source", in: scratch)
        try scratch.shell("\(writer) -C source -cf archive .; gzip -k archive")
        var options = TreeCopyOptions()
        options.lossless = true
        options.requiresSafeRoot = true
        let tree = LocalTree(scratch("tree"), resolution: resolution)
        let unpacked = try await TreeCopy.run(from: TarArchive(scratch("archive.gz")), to: tree, options: options)
        #expect(try TreeFixture.describe("source", in: scratch) == TreeFixture.describe("tree", in: scratch))
        #expect(unpacked.digest == (try await TreeCopy.examine(TarArchive(scratch("archive"))).digest))
        #expect(unpacked.digest == (try await TreeCopy.examine(tree).digest))
        #expect(unpacked.digest == (try await TreeCopy.examine(scratch.tree("source")).digest))
        #expect(unpacked.counts == (try await TreeCopy.examine(scratch.tree("source")).counts))
        var mapped = options
        mapped.destinationMap = try IDMap(host: 200_000, count: 65_536)
        let there = try await TreeCopy.run(from: TarArchive(scratch("archive")), to: scratch.tree("m"), options: mapped)
        #expect(there.digest == unpacked.digest)
    }

    @Test func realTreeIsWhatTarMakesOfIt() async throws {
        try scratch.shell(
            """
            cp -a /etc source; tar -C source --numeric-owner -cf archive .; mkdir expected
            tar -C expected --numeric-owner -xpf archive
            """)
        let summary = try await TreeCopy.run(from: TarArchive(scratch("archive")), to: scratch.tree("tree"))
        #expect(summary.digest == (try await TreeCopy.examine(scratch.tree("expected")).digest))
        #expect(summary.digest == (try await TreeCopy.examine(scratch.tree("tree")).digest))
        try scratch.shell("diff -r --no-dereference expected tree")
    }

    @Test func missingParentsAndRootHaveTheirDefaults() async throws {
        var builder = TarBuilder()
        builder.add("a/b/file", mode: 0o600, modified: 77, data: [1])
        let archive = TarArchive(try scratch.write(builder.finished(), to: "archive"))
        var options = TreeCopyOptions()
        options.destinationMap = try IDMap(host: 300_000, count: 10)
        let summary = try await TreeCopy.run(from: archive, to: scratch.tree("tree"), options: options)
        let shown = try scratch.shell("stat -c '%a %u %g %Y' tree tree/a tree/a/b tree/a/b/file")
        let directory = "755 300000 300000 0"
        #expect(shown == [directory, directory, directory, "600 300000 300000 77"].joined(separator: "\n"))
        #expect(summary.digest == (try await TreeCopy.examine(archive).digest))
    }

    @Test func libarchiveAttributesAndTextACLs() async throws {
        var builder = TarBuilder()
        builder.addPax([
            "LIBARCHIVE.xattr.user.a%20b": "AAEC", "SCHILY.xattr.user.x%3Dy": "v",
            "SCHILY.acl.access": "user::rw-,user:someone:r--:5,group::r--,mask::rw-,other::---",
        ])
        builder.add("file", mode: 0o600)
        builder.addPax(["SCHILY.acl.access": "user::rw-,user:someone:r--,group::r--,mask::r--,other::---"])
        builder.add("lost", mode: 0o600)
        let archive = TarArchive(try scratch.write(builder.finished(), to: "archive"))
        let summary = try await TreeCopy.run(from: archive, to: scratch.tree("tree"))
        #expect(summary.losses.kinds["acl"]?.paths == ["lost"])
        #expect(try scratch.shell("cd tree; getfattr -d -e hex file").contains("user.a b=0x000102\nuser.x"))
        #expect(try scratch.shell("cd tree; getfacl -nc file").contains("user:5:r--\n"))
        #expect(try scratch.shell("stat -c %a tree/file") == "660")
    }

    @Test func whatTheFileSystemRefusesIsALoss() async throws {
        var builder = TarBuilder()
        builder.addPax(["SCHILY.xattr.nonsense": "v"])
        builder.add("file")
        let archive = TarArchive(try scratch.write(builder.finished(), to: "archive"))
        let summary = try await TreeCopy.run(from: archive, to: scratch.tree("tree"))
        #expect(summary.losses.kinds["xattr:nonsense"]?.paths == ["file"])
        var options = TreeCopyOptions()
        options.lossless = true
        let refused = await failure {
            _ = try await TreeCopy.run(from: archive, to: scratch.tree("other"), options: options)
        }
        #expect(refused?.code == .lossRefused)
        #expect(try scratch.shell("ls -A") == "archive\ntree")
    }
}
