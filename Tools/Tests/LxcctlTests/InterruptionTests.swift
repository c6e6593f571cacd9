// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Testing

/// What is left of a command that was interrupted or killed.
@Suite(.timeLimit(.minutes(15)), .host(.root), .serialized) struct InterruptionTests {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    @Test(arguments: [SIGINT, SIGTERM, SIGHUP]) func interruptedUnpack(_ signal: Int32) async throws {
        let archive = try scratch.packHuge("huge.tar")
        // With the signals as a login shell has them, whatever these tests were started by.
        let program = try RunningProgram(
            "/usr/bin/env", ["--default-signal", Lxcctl.path, "tree", "unpack", archive, scratch["out"]])
        // It works beside the destination; a signal before that would prove nothing.
        #expect(await eventually { scratch.list().count > 1 })
        program.signal(signal)
        let outcome = await program.outcome()
        outcome.expectFailure(naming: ["interrupted"])
        #expect(scratch.list() == ["huge.tar"])
    }

    @Test func interruptedClone() async throws {
        try scratch.makeDirectory("root")
        try await host("/usr/bin/fallocate", "-l", "512M", scratch["root/a"])
        for name in ["b", "c"] { try await host("/usr/bin/fallocate", "-l", "512M", scratch["root/\(name)"]) }
        let program = try RunningProgram(
            Lxcctl.path, ["tree", "clone", scratch["root"], scratch["out"], "--strategy", "copy"])
        #expect(await eventually { scratch.list().count > 1 })
        program.signal(SIGTERM)
        await program.outcome().expectFailure(naming: ["interrupted"])
        #expect(scratch.list() == ["root"])
    }

    /// A killed installation leaves a store that works, and leftovers that `pool gc` takes away.
    @Test func killedInstallation() async throws {
        let stores = ["--primary", try scratch.makeDirectory("primary"), "--secondary", scratch["secondary"]]
        let (primary, secondary) = (Array(stores[..<2]), Array(stores[2...]))
        try scratch.makeDirectory("secondary")
        try scratch.makeDirectory("root")
        for index in 0..<3000 { try scratch.write(String(repeating: "x", count: 5000), to: "root/\(index)") }
        try await host("/usr/bin/fallocate", "-l", "256M", scratch["root/large"])
        let archive = try await scratch.pack("root", to: "root.tar")
        let register = ["template", "register", archive, "--account", "1", "--id", "10", "--name", "many"]
        try #require(try await Lxcctl.run(register + secondary).status == 0)

        let install = [Lxcctl.path, "template", "install", "1/10"] + stores
        let killed = try RunningProgram(
            "/bin/sh", ["-c", Self.killOnceThere, "sh", scratch["primary/.lxc/staging"]] + install)
        #expect(await killed.outcome().status == 128 + SIGKILL)
        #expect(!scratch.list("primary/.lxc/staging").isEmpty, "it was killed too late to prove anything")

        let contents = try await Lxcctl.run(["pool", "list", "--json"] + primary).json()
        let nothing = JSON.list([])
        #expect(
            contents
                == .object([
                    "templates": nothing, "volumes": nothing, "images": nothing, "disks": nothing, "broken": nothing,
                ]))
        let removed = try await Lxcctl.run(["pool", "gc", "--json"] + primary).json()
        #expect(removed == .object(["removed": 1]))
        #expect(scratch.list("primary/.lxc/staging").isEmpty)
        #expect(try await Lxcctl.run(["pool", "gc"] + primary).line() == "removed nothing")
        #expect(try await Lxcctl.run(["template", "install", "1/10"] + stores).status == 0)
        #expect(try await Lxcctl.run(["pool", "list", "--json"] + primary).json()["templates"].count == 1)
    }

    /// Runs a command and kills it as soon as the directory named first has an entry; a process of its own, so that no
    /// other test delays it.
    private static let killOnceThere = """
        staging=$1; shift; "$@" & pid=$!
        while [ -z "$(ls -A "$staging" 2>/dev/null)" ] && kill -0 $pid 2>/dev/null; do :; done
        kill -KILL $pid; wait $pid
        """
}
