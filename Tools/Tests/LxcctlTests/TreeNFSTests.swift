// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import _LXCTestServers

/// Trees on an NFS server, by URL. `Support/NFSServer.swift` is a link to the library's tests.
@Suite(.timeLimit(.minutes(15)), .host(.root, .nfsServer)) struct TreeNFSTests {
    private static let portable = ["--no-attributes", "--no-link-times"]
    private let scratch: Scratch
    private let server: NFSServer

    init() throws {
        scratch = try Scratch()
        server = try NFSServer(NFSServer.Export(scratch.makeDirectory("export")))
    }

    private func digest(_ place: String) async throws -> String {
        try await Lxcctl.run(["tree", "digest", place] + Self.portable).line()
    }

    @Test func theDigestSurvivesTheRound() async throws {
        let root = try await scratch.makeRoot()
        let archive = try await scratch.pack("root", to: "root.tar.gz")
        let (first, second) = (server.url("/first"), server.url("/second"))
        let summary = try await Lxcctl.run("tree", "unpack", archive, first, "--json").json()
        #expect(summary["counts"]["hardLinks"] == 1)
        #expect(try await Lxcctl.run("tree", "clone", first, second).status == 0)
        #expect(try await Lxcctl.run("tree", "clone", second, scratch["local"]).status == 0)
        #expect(try await Lxcctl.run("tree", "pack", second, scratch["again.tar"]).status == 0)
        let expected = try await digest(archive)
        for place in [root, first, second, scratch["local"], scratch["again.tar"]] {
            #expect(try await digest(place) == expected)
        }
        #expect(try await Lxcctl.run(["tree", "compare", archive, first] + Self.portable).status == 0)
        #expect(scratch.list("export") == ["first", "second"])
        #expect(try await Lxcctl.run("tree", "remove", first).status == 0)
        #expect(try await Lxcctl.run("tree", "remove", first).status == 0)
        #expect(scratch.list("export") == ["second"])
    }

    @Test func onlyDirectoriesAreRemoved() async throws {
        try scratch.write("stays\n", to: "export/file")
        try await Lxcctl.fails(["tree", "remove", server.url("/file")], naming: ["file", "not a directory"])
        #expect(scratch.list("export") == ["file"])
    }

    @Test func failuresNameTheServersAnswer() async throws {
        let archive = try await scratch.makeArchive("root.tar")
        try await Lxcctl.fails(["tree", "unpack", archive, server.url("/no/where")], naming: ["no"])
        try await Lxcctl.fails(["tree", "digest", server.url("/nothing")], naming: ["nothing"])
        try scratch.makeDirectory("export/taken")
        try await Lxcctl.fails(["tree", "unpack", archive, server.url("/taken")], naming: ["taken", "already"])
        #expect(scratch.list("export") == ["taken"])
    }
}
