// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Testing

/// Archives made of directories and of other archives.
@Suite(.timeLimit(.minutes(15)), .host(.root)) struct TreePackTests {
    private static let endings = ["tar", "tar.gz", "tar.xz", "tar.zst", "tar.bz2", "tar.lz4"]
    private static let map = ["--id-map", "0:100000:65536"]
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    private func digest(_ path: String, _ options: [String] = []) async throws -> String {
        try await Lxcctl.run(["tree", "digest", path] + options).line()
    }

    /// A failed command, after which everything is as it was.
    private func failsWithoutTrace(
        _ arguments: [String], naming words: [String] = [], _ location: SourceLocation = #_sourceLocation
    ) async throws {
        let before = scratch.list()
        try await Lxcctl.fails(["tree", "pack"] + arguments, naming: words, location)
        #expect(scratch.list() == before, sourceLocation: location)
    }

    @Test(arguments: endings) func directoryPackedUnpackedAndPackedAgain(_ ending: String) async throws {
        let root = try await scratch.makeRoot()
        let (first, second) = (scratch["first.\(ending)"], scratch["second.\(ending)"])
        let summary = try await Lxcctl.run("tree", "pack", root, first, "--lossless", "--json").json()
        #expect(
            summary.keys == ["counts", "logicalBytes", "allocatedBytes", "digest", "losses", "strategy", "seconds"])
        #expect(summary["strategy"] == "write")
        #expect(summary["counts"]["hardLinks"] == 1)
        #expect(summary["logicalBytes"] == 640_026)
        let expected = try await digest(root)
        #expect(summary["digest"] == .text(expected))
        #expect(try await digest(first) == expected)
        #expect(try await Lxcctl.run("tree", "unpack", first, scratch["unpacked"], "--lossless").status == 0)
        #expect(try await Lxcctl.run("tree", "pack", scratch["unpacked"], second).status == 0)
        #expect(FileManager.default.contentsEqual(atPath: first, andPath: second))
        #expect(scratch.list() == ["first.\(ending)", "root", "second.\(ending)", "unpacked"])
        var status = stat()
        #expect(stat(first, &status) == 0 && status.st_mode & 0o7777 == 0o600)
    }

    @Test func archiveCompressedAnew() async throws {
        let root = try await scratch.makeRoot()
        try #require(try await Lxcctl.run("tree", "pack", root, scratch["a.tar.gz"]).status == 0)
        try #require(try await Lxcctl.run("tree", "pack", scratch["a.tar.gz"], scratch["b.tar.zst"]).status == 0)
        try #require(try await Lxcctl.run("tree", "pack", scratch["b.tar.zst"], scratch["c.tar"]).status == 0)
        try #require(try await Lxcctl.run("tree", "pack", root, scratch["d.tar"]).status == 0)
        #expect(FileManager.default.contentsEqual(atPath: scratch["c.tar"], andPath: scratch["d.tar"]))
        // Of another program's archive as well.
        try await scratch.pack("root", to: "other.tar.xz")
        try #require(try await Lxcctl.run("tree", "pack", scratch["other.tar.xz"], scratch["e.tgz"]).status == 0)
        #expect(try await digest(scratch["e.tgz"]) == digest(root))
    }

    /// The tree of a container whose root is the host's 100000 is packed as the container sees it.
    @Test func mappedTree() async throws {
        let root = try await scratch.makeRoot()
        let mapped = scratch["mapped"]
        try #require(try await Lxcctl.run(["tree", "clone", root, mapped] + Self.map).status == 0)
        try #require(try await Lxcctl.run(["tree", "pack", mapped, scratch["a.tar"]] + Self.map).status == 0)
        try #require(try await Lxcctl.run("tree", "pack", root, scratch["b.tar"]).status == 0)
        #expect(FileManager.default.contentsEqual(atPath: scratch["a.tar"], andPath: scratch["b.tar"]))
        // Its owners are nobody's in a map of other ids.
        try await failsWithoutTrace([mapped, scratch["c.tar"], "--id-map", "0:300000:10"], naming: ["100000"])
    }

    /// GNU tar makes of the archive what it was made of.
    @Test func otherProgramsUnpackIt() async throws {
        let root = try await scratch.makeRoot()
        try #require(try await Lxcctl.run("tree", "pack", root, scratch["a.tar.xz"]).status == 0)
        let unpacked = try scratch.makeDirectory("unpacked")
        try await host("/bin/tar", "--numeric-owner", "-xpf", scratch["a.tar.xz"], "-C", unpacked)
        #expect(try await digest(unpacked) == digest(root))
    }

    @Test func humanOutputIsPlain() async throws {
        let root = try await scratch.makeRoot()
        let outcome = try await Lxcctl.run("tree", "pack", root, scratch["a.tar.gz"])
        #expect(outcome.status == 0)
        #expect(outcome.stderr.isEmpty)
        outcome.expectPlainText()
        #expect(outcome.stdout.contains("digest:"))
    }

    @Test(arguments: ["out", "out.zip", "out.tar.gz.old", "out.gz", "tar"])
    func nameWithoutACompression(_ name: String) async throws {
        let root = try await scratch.makeRoot()
        try await failsWithoutTrace([root, scratch[name]], naming: [name, ".tar,", ".tar.gz", ".tar.xz", ".tar.zst"])
    }

    @Test func destinationThatCannotBe() async throws {
        let root = try await scratch.makeRoot()
        let mine = try scratch.write("mine\n", to: "mine.tar")
        try await failsWithoutTrace([root, mine], naming: ["mine.tar", "already"])
        #expect(try String(contentsOfFile: mine, encoding: .utf8) == "mine\n")
        try await failsWithoutTrace([root, try scratch.makeDirectory("dir.tar")], naming: ["dir.tar", "already"])
        try await failsWithoutTrace([root, scratch["no/a.tar"]], naming: [scratch["no"]])
        try await failsWithoutTrace([root, "\(root)/etc/a.tar"], naming: ["a.tar", "inside"])
        #expect(!scratch.exists("root/etc/a.tar"))
    }

    @Test func sourceThatCannotBeRead() async throws {
        let archive = try await scratch.makeArchive("root.tar.gz")
        let whole = try Data(contentsOf: URL(filePath: archive))
        let cut = scratch["cut.tar.gz"]
        try whole.prefix(whole.count / 2).write(to: URL(filePath: cut))
        try await failsWithoutTrace([cut, scratch["a.tar.xz"]], naming: ["cut.tar.gz"])
        try await failsWithoutTrace([scratch["missing"], scratch["a.tar"]], naming: [scratch["missing"]])
        try await failsWithoutTrace([archive, scratch["a.tar"], "--limits", "entries=3"], naming: ["entries"])
        try await failsWithoutTrace([archive, archive], naming: ["root.tar.gz", "already"])
    }

    @Test(arguments: ["tar", "tar.gz", "tar.xz"]) func interrupted(_ ending: String) async throws {
        try scratch.makeDirectory("root")
        try await host("/bin/dd", "if=/dev/urandom", "of=\(scratch["root/a"])", "bs=1M", "count=64", "status=none")
        for name in ["b", "c", "d", "e", "f"] { try await host("/bin/cp", scratch["root/a"], scratch["root/\(name)"]) }
        let program = try RunningProgram(Lxcctl.path, ["tree", "pack", scratch["root"], scratch["out.\(ending)"]])
        #expect(await eventually { scratch.list().count > 1 })
        program.signal(SIGTERM)
        await program.outcome().expectFailure(naming: ["interrupted"])
        #expect(scratch.list() == ["root"])
    }
}
