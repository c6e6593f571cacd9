// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// Trees copied by a process that may open few files, as services are often confined.
@Suite(.timeLimit(.minutes(15)), .host(.root)) struct DescriptorLimitTests {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    /// A tree deeper and wider than 64, and its archive.
    private func makeTree() async throws -> (directory: String, archive: String, digest: String) {
        let deep = "root/" + (1...150).map { "d\($0)" }.joined(separator: "/")
        try scratch.makeDirectory(deep)
        try scratch.write("bottom\n", to: "\(deep)/file")
        for name in 1...200 {
            try scratch.makeDirectory("root/wide/\(name)")
            try scratch.write("wide \(name)\n", to: "root/wide/\(name)/file")
        }
        try scratch.write(String(repeating: "large", count: 1_000_000), to: "root/large")
        try await host("/bin/ln", scratch["root/large"], scratch["root/wide/again"])
        let archive = try await scratch.pack("root", to: "root.tar.gz")
        return (scratch["root"], archive, try await Lxcctl.run("tree", "digest", scratch["root"]).line())
    }

    private func run(_ arguments: [String], descriptors: Int) async throws -> Outcome {
        try await RunningProgram("/usr/bin/prlimit", ["--nofile=\(descriptors)", Lxcctl.path] + arguments).outcome()
    }

    @Test func sixtyFourAreEnough() async throws {
        let tree = try await makeTree()
        for arguments in [["unpack", tree.archive], ["clone", tree.directory]] {
            let outcome = try await run(["tree"] + arguments + [scratch["out"]], descriptors: 64)
            #expect(outcome.status == 0, "\(arguments): \(outcome.stderr)")
            #expect(try await run(["tree", "digest", scratch["out"]], descriptors: 64).line() == tree.digest)
            #expect(try await run(["tree", "remove", scratch["out"]], descriptors: 64).status == 0)
            #expect(scratch.list() == ["root", "root.tar.gz"])
        }
    }

    /// With fewer it works or says why, and leaves nothing. With fewer than these the Swift runtime has none to start with.
    @Test(arguments: [40, 44, 48, 56])
    func fewerFailCleanly(descriptors: Int) async throws {
        let tree = try await makeTree()
        for arguments in [["unpack", tree.archive], ["clone", tree.directory]] {
            let outcome = try await run(["tree"] + arguments + [scratch["out"]], descriptors: descriptors)
            if outcome.status == 0 {
                #expect(try await Lxcctl.run("tree", "digest", scratch["out"]).line() == tree.digest)
                #expect(try await Lxcctl.run("tree", "remove", scratch["out"]).status == 0)
            } else {
                outcome.expectFailure()
            }
            #expect(scratch.list() == ["root", "root.tar.gz"], "\(arguments)")
        }
    }
}
