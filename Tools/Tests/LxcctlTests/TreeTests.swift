// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Testing

/// Trees unpacked, cloned, digested and removed.
@Suite(.timeLimit(.minutes(15)), .host(.root)) struct TreeTests {
    private let scratch: Scratch
    private static let map = ["--id-map", "0:100000:65536"]
    private static let summaryKeys: Set = [
        "counts", "logicalBytes", "allocatedBytes", "digest", "losses", "strategy", "seconds",
    ]
    private static let countKeys: Set = ["directories", "files", "symbolicLinks", "hardLinks", "devices", "fifos"]

    init() throws { scratch = try Scratch() }

    @Test func summaryHasTheDocumentedKeys() async throws {
        let root = try await scratch.makeRoot()
        let archive = try await scratch.pack("root", to: "root.tar.gz")
        for command in [["unpack", archive, scratch["a"]], ["clone", root, scratch["b"]], ["digest", archive]] {
            let summary = try await Lxcctl.run(["tree"] + command + ["--json"]).json()
            // Nothing is made by reading, so that there is no strategy.
            let expected = command[0] == "digest" ? Self.summaryKeys.subtracting(["strategy"]) : Self.summaryKeys
            #expect(summary.keys == expected, "\(command)")
            #expect(summary["counts"].keys == Self.countKeys)
            #expect(summary["counts"]["files"] == 4)
            #expect(summary["counts"]["hardLinks"] == 1)
            #expect(summary["counts"]["symbolicLinks"] == 1)
            #expect(summary["counts"]["fifos"] == 1)
            #expect(summary["logicalBytes"] == 640_026)
        }
    }

    @Test func oneDigestForArchiveDirectoryAndClones() async throws {
        let root = try await scratch.makeRoot()
        var digests: [String: String] = [:]
        func digest(_ path: String, _ options: [String] = []) async throws {
            digests[path] = try await Lxcctl.run(["tree", "digest", path] + options).line()
        }
        try await digest(root)
        for ending in ["tar", "tar.gz", "tar.xz"] {
            try await digest(scratch.pack("root", to: "root.\(ending)"))
        }
        for (destination, options) in [("plain", []), ("mapped", Self.map)] {
            let unpacked = scratch["\(destination)-unpacked"]
            let cloned = scratch["\(destination)-cloned"]
            let arguments = ["tree", "unpack", scratch["root.tar.gz"], unpacked] + options
            #expect(try await Lxcctl.run(arguments).status == 0)
            #expect(try await Lxcctl.run(["tree", "clone", root, cloned, "--strategy", "copy"] + options).status == 0)
            try await digest(unpacked, options)
            try await digest(cloned, options)
        }
        #expect(digests.count == 8)
        #expect(Set(digests.values).count == 1, "\(digests)")
        #expect(digests[root]?.wholeMatch(of: /[0-9a-f]{64}/) != nil)

        var status = stat()
        #expect(stat(scratch["mapped-cloned/etc/hosts"], &status) == 0)
        #expect(status.st_uid == 100_000 && status.st_gid == 100_000)
        // Read with the owners it really has it is another tree.
        let unmapped = try await Lxcctl.run("tree", "digest", scratch["mapped-cloned"]).line()
        #expect(unmapped != digests[root])
    }

    @Test func changedTreeHasAnotherDigest() async throws {
        let root = try await scratch.makeRoot()
        let before = try await Lxcctl.run("tree", "digest", root).line()
        try await host("/bin/chmod", "600", "\(root)/etc/hosts")
        #expect(try await Lxcctl.run("tree", "digest", root).line() != before)
    }

    @Test func compareNamesWhatDiffers() async throws {
        let root = try await scratch.makeRoot()
        let archive = try await scratch.pack("root", to: "root.tar.gz")
        let same = try await Lxcctl.run("tree", "compare", archive, root)
        #expect(same.status == 0)
        #expect(same.stdout.isEmpty && same.stderr.isEmpty)
        try await host("/bin/chmod", "600", "\(root)/etc/empty")
        let other = try await Lxcctl.run("tree", "compare", archive, root)
        #expect(other.status == 1)
        #expect(other.stdout == "changed etc/empty\n")
        #expect(other.stderr == "lxcctl: \(root): 1 entry differs\n")
        let json = try await Lxcctl.run("tree", "compare", root, archive, "--json")
        #expect(json.stdout.contains("\"kind\" : \"changed\"") && json.stdout.contains("\"path\" : \"etc/empty\""))
    }

    @Test func cloneWithoutDigestIsTheSame() async throws {
        let root = try await scratch.makeRoot()
        let summary = try await Lxcctl.run("tree", "clone", root, scratch["clone"], "--no-digest", "--json").json()
        #expect(summary.keys == Self.summaryKeys.subtracting(["digest"]))
        #expect(try await Lxcctl.run("tree", "compare", root, scratch["clone"]).status == 0)
    }

    @Test func removeIsIdempotent() async throws {
        let root = try await scratch.makeRoot()
        #expect(try await Lxcctl.run("tree", "remove", root, "--json").json() == .object(["removed": .text(root)]))
        #expect(scratch.list() == [])
        let again = try await Lxcctl.run("tree", "remove", root)
        #expect(again.status == 0)
        #expect(again.stdout.isEmpty && again.stderr.isEmpty)
    }

    @Test func humanOutputIsPlain() async throws {
        let archive = try await scratch.makeArchive("root.tar.gz")
        let outcome = try await Lxcctl.run("tree", "unpack", archive, scratch["out"])
        #expect(outcome.status == 0)
        #expect(outcome.stderr.isEmpty)
        outcome.expectPlainText()
        #expect(outcome.stdout.contains("digest:"))
    }

    /// A path with a control character is shown so that it does nothing to a terminal.
    @Test func hostileNamesDoNothingToTheTerminal() async throws {
        let archive = try await scratch.makeArchive("root.tar.gz")
        try await Lxcctl.fails(["tree", "unpack", scratch["\u{1B}[31mred\nsecond line"], scratch["out"]])
        try await Lxcctl.fails(["tree", "unpack", archive, scratch["no/\u{1B}]0;title\u{7}"]])
        try await Lxcctl.fails(["template", "show", "\u{1B}[2J", "--secondary", scratch.path])
        try await Lxcctl.fails(["tree", "digest", archive, "--id-map", "\u{1B}[2J:1:1"])
    }

    /// Commands that take long show a bar on a terminal and take it away; into a pipe they write nothing of the kind.
    @Test func progressBarIsForTerminals() async throws {
        let archive = try scratch.packHuge("huge.tar")
        let limits = ["--limits", "wallTime=3"]
        let piped = try await Lxcctl.run(["tree", "unpack", archive, scratch["out"]] + limits)
        piped.expectPlainText()
        let shown = try await Lxcctl.runOnTerminal(["tree", "unpack", archive, scratch["out2"]] + limits)
        #expect(shown.stdout.contains("\runpacking: ") || shown.stdout.contains("\u{1B}[Kunpacking: "))
        #expect(
            shown.stdout.contains("\r\u{1B}[Klxcctl: "),
            "the bar is gone before the message: \(shown.stdout.suffix(200))")
    }
}
