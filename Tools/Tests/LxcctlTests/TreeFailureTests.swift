// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// What a tree command that cannot be done says, and that it leaves nothing.
@Suite(.timeLimit(.minutes(15)), .host(.root)) struct TreeFailureTests {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    /// A failed command, after which everything is as it was.
    @discardableResult
    private func failsWithoutTrace(
        _ arguments: [String], naming words: [String] = [], _ location: SourceLocation = #_sourceLocation
    ) async throws -> Outcome {
        let before = scratch.list()
        let outcome = try await Lxcctl.fails(arguments, naming: words, location)
        #expect(scratch.list() == before, sourceLocation: location)
        return outcome
    }

    @Test(arguments: ["tar.gz", "tar.bz2", "tar.xz", "tar"]) func truncatedArchive(_ ending: String) async throws {
        let archive = try await scratch.makeArchive("root.\(ending)")
        let whole = try Data(contentsOf: URL(filePath: archive))
        let lengths = [1, 17, 100, 511, 512, 513, whole.count / 4, whole.count / 2, whole.count * 3 / 4]
        // A tar's end-of-archive marker may be missing its padding; a compressed stream must be there to its last byte.
        let late = ending == "tar" ? [] : [whole.count - 9, whole.count - 4, whole.count - 1]
        for length in lengths + late where length < whole.count {
            let cut = scratch["cut.\(ending)"]
            try whole.prefix(length).write(to: URL(filePath: cut))
            try await failsWithoutTrace(["tree", "unpack", cut, scratch["out"]], naming: ["cut.\(ending)"])
            try await failsWithoutTrace(["tree", "digest", cut], naming: ["cut.\(ending)"])
        }
    }

    @Test func flippedBytes() async throws {
        let archive = try await scratch.makeArchive("root.tar.gz")
        var bytes = try Data(contentsOf: URL(filePath: archive))
        let middle = bytes.count / 2
        for index in middle..<middle + 40 { bytes[index] ^= 0xff }
        try bytes.write(to: URL(filePath: archive))
        try await failsWithoutTrace(["tree", "unpack", archive, scratch["out"]], naming: ["root.tar.gz"])
    }

    @Test(arguments: ["../x", "a/../../x", "..", "/tmp/lxcctl-absolute", "a/./../../x"])
    func nameThatLeavesTheRoot(_ entry: String) async throws {
        let archive = try await scratch.packHostile(entry, to: "hostile.tar")
        try await failsWithoutTrace(["tree", "unpack", archive, scratch["out"]], naming: [entry])
        #expect(!FileManager.default.fileExists(atPath: "/tmp/lxcctl-absolute"))
        #expect(!FileManager.default.fileExists(atPath: "/var/tmp/x"))
    }

    @Test func missingArchive() async throws {
        let missing = scratch["missing.tar"]
        try await failsWithoutTrace(["tree", "unpack", missing, scratch["out"]], naming: [missing])
        try await failsWithoutTrace(["tree", "digest", missing], naming: [missing])
        try await failsWithoutTrace(["tree", "clone", missing, scratch["out"]], naming: [missing])
    }

    @Test func noArchiveAtAll() async throws {
        let text = try scratch.write("This is a text, and no archive.\n", to: "text.tar")
        let empty = try scratch.write("", to: "empty.tar")
        for archive in [text, empty, "/dev/null"] {
            try await failsWithoutTrace(["tree", "unpack", archive, scratch["out"]], naming: [archive])
        }
    }

    @Test func directoryForArchive() async throws {
        let directory = try scratch.makeDirectory("directory")
        try await failsWithoutTrace(
            ["tree", "unpack", directory, scratch["out"]], naming: [directory, "regular file"])
    }

    @Test func archiveForDirectory() async throws {
        let archive = try await scratch.makeArchive("root.tar")
        try await failsWithoutTrace(["tree", "clone", archive, scratch["out"]], naming: [archive, "directory"])
    }

    @Test func existingDestination() async throws {
        let archive = try await scratch.makeArchive("root.tar.gz")
        let directory = try scratch.makeDirectory("out")
        try scratch.write("mine\n", to: "out/file")
        try await failsWithoutTrace(["tree", "unpack", archive, directory], naming: ["out", "already"])
        #expect(scratch.list("out") == ["file"])
        let file = try scratch.write("mine\n", to: "file")
        try await failsWithoutTrace(["tree", "unpack", archive, file], naming: ["file", "already"])
        try await failsWithoutTrace(["tree", "clone", directory, file], naming: ["file", "already"])
    }

    @Test func destinationWithoutParent() async throws {
        let archive = try await scratch.makeArchive("root.tar.gz")
        try await failsWithoutTrace(["tree", "unpack", archive, scratch["no/where"]], naming: [scratch["no"]])
    }

    @Test func networkLocations() async throws {
        let archive = try await scratch.makeArchive("root.tar")
        let nfs = "nfs://server/export"
        for arguments in [
            ["tree", "unpack", nfs, scratch["out"]], ["tree", "pack", archive, nfs],
            ["template", "list", "--secondary", nfs],
        ] {
            try await failsWithoutTrace(arguments, naming: [nfs, "mount"])
        }
        let away = "nfs://127.0.0.1/export/x?nfsport=1&mountport=1"
        for arguments in [
            ["tree", "unpack", archive, away], ["tree", "clone", away, scratch["out"]],
            ["tree", "pack", away, scratch["out.tar"]], ["tree", "digest", away], ["tree", "remove", away],
            ["tree", "compare", archive, away], ["pool", "info", "--primary", away],
        ] {
            try await failsWithoutTrace(arguments, naming: ["NFS server 127.0.0.1"])
        }
        for wrong in ["nfs://", "nfs://server"] {
            try await failsWithoutTrace(["tree", "digest", wrong], naming: [wrong, "nfs://server"])
        }
        // What follows the question mark may be a secret.
        for wrong in ["nfs://server/x?nfsport=none", "nfs://server/x?unknown=secret"] {
            let outcome = try await failsWithoutTrace(["tree", "digest", wrong], naming: ["nfs://server/x?"])
            #expect(!outcome.stderr.contains("secret"))
        }
    }

    @Test func limits() async throws {
        let archive = try await scratch.makeArchive("root.tar.gz")
        let unpack = ["tree", "unpack", archive, scratch["out"], "--limits"]
        try await failsWithoutTrace(unpack + ["weight=1"], naming: ["weight", "entries", "wallTime"])
        try await failsWithoutTrace(unpack + ["entries=many"], naming: ["many"])
        try await failsWithoutTrace(unpack + ["entries=3"], naming: ["entries"])
        try await failsWithoutTrace(unpack + ["logicalBytes=1KiB"], naming: ["logicalBytes"])
        try await failsWithoutTrace(unpack + ["depth=2"], naming: ["depth"])
        let result = try await Lxcctl.run(unpack + ["entries=1000", "--limits", "logicalBytes=2GiB"])
        #expect(result.status == 0, "\(result.stderr)")
    }

    @Test(arguments: ["0", "0:1", "a:b:c", "0:100000:0", "0:4294967295:2", "-1:0:1", "0:1:2:3"])
    func badIdentifierMap(_ map: String) async throws {
        let directory = try scratch.makeDirectory("directory")
        try await failsWithoutTrace(["tree", "clone", directory, scratch["out"], "--id-map=\(map)"])
    }

    @Test func identifierOutsideTheMap() async throws {
        let directory = try await scratch.makeRoot()
        try await host("/bin/chown", "5000", "\(directory)/etc/empty")
        try await failsWithoutTrace(
            ["tree", "clone", directory, scratch["out"], "--id-map", "0:100000:1000"], naming: ["5000", "etc/empty"])
    }

    @Test func removeOfSomethingElse() async throws {
        let file = try scratch.write("mine\n", to: "file")
        try await failsWithoutTrace(["tree", "remove", file], naming: [file])
        try await failsWithoutTrace(["tree", "remove", ""])
        try await failsWithoutTrace(["tree", "remove", "/"])
        try await host("/bin/ln", "-s", try scratch.makeDirectory("target"), scratch["link"])
        try scratch.write("mine\n", to: "target/file")
        try await failsWithoutTrace(["tree", "remove", scratch["link"]], naming: [scratch["link"]])
        #expect(scratch.exists("target/file"))
    }
}

extension Scratch {
    /// A small root in an archive.
    func makeArchive(_ name: String) async throws -> String {
        _ = try await makeRoot("packed")
        let archive = try await pack("packed", to: name)
        try FileManager.default.removeItem(atPath: self["packed"])
        return archive
    }
}
