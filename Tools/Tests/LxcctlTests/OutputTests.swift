// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// Output that does not reach who asked for it, and a store that is away.
@Suite(.timeLimit(.minutes(15))) struct OutputTests {
    /// Runs the tool with its standard output led elsewhere, as a shell's redirection says.
    private func run(_ redirection: String, _ arguments: [String]) async throws -> Outcome {
        try await RunningProgram("/bin/sh", ["-c", #"exec "$0" "$@" \#(redirection)"#, Lxcctl.path] + arguments)
            .outcome()
    }

    @Test(arguments: [">/dev/full", ">&-"]) func lostOutputIsAFailure(_ redirection: String) async throws {
        let scratch = try Scratch()
        let root = try await scratch.makeRoot()
        let secondary = ["--secondary", try scratch.makeDirectory("secondary")]
        for arguments in [
            ["tree", "digest", root], ["tree", "digest", root, "--json"], ["template", "list"] + secondary, ["--help"],
            ["--version"],
        ] {
            let outcome = try await run(redirection, arguments)
            outcome.expectFailure(naming: ["output"])
        }
    }

    /// A file that is opened while standard output is closed does not get its number, and what is printed.
    @Test func whatIsPrintedGoesIntoNoOtherFile() async throws {
        let scratch = try Scratch()
        let root = try await scratch.makeRoot()
        let outcome = try await run(">&-", ["tree", "pack", root, scratch["out.tar"], "--json"])
        outcome.expectFailure(naming: ["output"])
        let digests = [
            try await Lxcctl.run("tree", "digest", scratch["out.tar"]).line(),
            try await Lxcctl.run("tree", "digest", root).line(),
        ]
        #expect(digests[0] == digests[1])
    }

    /// The status of a failure stays what it is, and its message is told.
    @Test func aFailureIsToldWithoutStandardOutput() async throws {
        for redirection in [">/dev/full", ">&-"] {
            let outcome = try await run(redirection, ["tree", "digest", "/nonexistent"])
            outcome.expectFailure(naming: ["/nonexistent"])
            #expect(try await run(redirection, ["nonsense"]).status == 64)
        }
    }

    /// What needs no store works without one; what does is told so, in one line.
    @Test(.host(.root, .libvirtd, .busybox)) func aStoreThatIsAway() async throws {
        let name = "lxcctl-test-\(UInt32.random(in: 0 ... .max))"
        try await ContainerHost.run { host in
            #expect(try await host.container("create", name, "--template", host.template).status == 0)
            #expect(try await host.container("start", name).status == 0)
            let primary = host.scratch["primary"]
            let away = host.scratch["primary.away"]
            try await LxcctlTests.host("/bin/mv", primary, away)
            #expect(try await host.container("show", name).status == 0)
            #expect(try await host.container("list").stdout.contains(name))
            let inside = try await host.container("exec", name, "--", "/bin/busybox", "echo", "inside")
            #expect(inside.status == 0 && inside.stdout == "inside\n", "\(inside.stderr)")
            #expect(try await host.container("stop", name, "--timeout", "30").line() == "\(name) shutOff (graceful)")
            try await host.container("start", name).expectFailure(naming: [primary])
            #expect(!host.scratch.exists("primary"), "a store that is away is not made")
            try await LxcctlTests.host("/bin/mv", away, primary)
            #expect(try await host.container("start", name).status == 0)
            #expect(try await host.container("destroy", name).status == 0)
        }
    }
}
