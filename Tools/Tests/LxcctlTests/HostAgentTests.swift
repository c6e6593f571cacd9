// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Testing

/// `host-agent` as an operator runs it, with real containers.
@Suite(.timeLimit(.minutes(15)), .host(.root, .libvirtd, .busybox)) struct HostAgentTests {
    private static let shares = #", "cpuShares": 300"#
    private let names = (0..<3).map { _ in "lxcctl-test-\(UInt32.random(in: 0 ... .max))" }

    /// An agent at work, with its log in a file.
    private struct RunningAgent {
        static let path = URL(filePath: Lxcctl.path).deletingLastPathComponent().appending(path: "host-agent").path

        let program: RunningProgram
        let log: String

        init(_ host: ContainerHost, _ options: [String]) throws {
            log = host.scratch["log-\(UInt32.random(in: 0 ... .max))"]
            // With an address for the heartbeat.
            let config = try host.scratch.write(
                String(contentsOfFile: host.config, encoding: .utf8) + "private.network.device=lo\n",
                to: "host-agent.properties")
            let arguments = [host.scratch["containers.json"], "--config", config, "--interval", "0.5"] + options
            program = try RunningProgram(
                "/bin/sh", ["-c", #"exec "$0" "$@" 2>"$LOG""#, Self.path] + arguments, environment: ["LOG": log])
        }

        /// What it has logged.
        var told: String { String(decoding: FileManager.default.contents(atPath: log) ?? Data(), as: UTF8.self) }

        /// Its end by a signal; its exit status.
        func end(_ signal: Int32 = SIGTERM) async -> Int32 {
            program.signal(signal)
            return await program.outcome().status
        }
    }

    /// Runs `body` with an agent, which ends also when `body` fails.
    private func run(
        _ host: ContainerHost, _ options: String..., body: (RunningAgent) async throws -> Void
    ) async throws {
        let agent = try RunningAgent(host, options)
        do {
            try await body(agent)
        } catch {
            _ = await agent.end(SIGKILL)
            throw error
        }
    }

    /// Declares containers in the place of those that were declared, all at once as an editor does.
    private func declare(_ containers: [String], on host: ContainerHost) throws {
        try host.scratch.write(#"{"containers": [\#(containers.joined(separator: ","))]}"#, to: "new.json")
        rename(host.scratch["new.json"], host.scratch["containers.json"])
    }

    private func declared(_ index: Int, on host: ContainerHost, _ more: String = "", state: String = "running")
        -> String
    {
        #"{"state": "\#(state)", "specification": {"name": "\#(names[index])", "template": "\#(host.template)""#
            + #", "memory": "64MiB"\#(more)}}"#
    }

    private func state(_ index: Int, on host: ContainerHost) async throws -> String? {
        let shown = try await host.container("show", names[index], "--json")
        guard shown.status == 0 else { return nil }
        return try shown.json()["guest"]["state"].text
    }

    private func becomes(_ state: String?, _ index: Int, on host: ContainerHost) async throws -> Bool {
        try await eventually { try await self.state(index, on: host) == state }
    }

    /// What tells one run of a container from the next: libvirt's number of it, the process id of its controller.
    private func run(of index: Int, on host: ContainerHost) async throws -> Int32? {
        try await host.container("show", names[index], "--json").json()["guest"]["id"].number.map { Int32($0) }
    }

    /// A process whose parent is another, by what proc_pid_stat(5) says of it.
    private func child(of parent: Int32) -> Int32? {
        let all = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return all.compactMap(Int32.init).first { pid in
            guard let status = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
                let end = status.lastIndex(of: ")")
            else { return false }
            return status[end...].split(separator: " ").dropFirst(2).first == Substring("\(parent)")
        }
    }

    // MARK: Tests

    @Test func containersAreKeptAsTheFileDeclaresThem() async throws {
        try await ContainerHost.run { host in
            try declare([declared(0, on: host)], on: host)
            try await run(host) { agent in
                #expect(try await becomes("running", 0, on: host), "\(agent.told)")
                #expect(host.scratch.exists("primary/KVMHA/hb-127.0.0.1"), "CloudStack's heartbeat")
                try await isRestartedWhenItIsKilled(host, agent)
                try await followsTheFile(host, agent)
                #expect(await agent.end() == 0)
                #expect(agent.told.contains("agent ended"))
            }
            #expect(try await state(0, on: host) == "running", "containers go on without the agent")
            try await isFoundAgain(host)
        }
    }

    private func isRestartedWhenItIsKilled(_ host: ContainerHost, _ agent: RunningAgent) async throws {
        let first = try #require(try await run(of: 0, on: host))
        let initializer = try #require(child(of: first))
        kill(initializer, SIGKILL)
        let isBack = try await eventually {
            guard try await state(0, on: host) == "running" else { return false }
            return try await run(of: 0, on: host) != first
        }
        #expect(isBack, "\(agent.told)")
    }

    private func followsTheFile(_ host: ContainerHost, _ agent: RunningAgent) async throws {
        let before = try await run(of: 0, on: host)
        try declare(
            [declared(0, on: host, Self.shares + #", "cpus": 2"#), declared(1, on: host, state: "stopped")],
            on: host)
        #expect(
            try await eventually {
                try await host.container("set", names[0], "--json").json()["limits"]["cpuShares"] == 300
            }, "\(agent.told)")
        #expect(try await becomes("shutOff", 1, on: host), "it is made and not started: \(agent.told)")
        #expect(await eventually { agent.told.contains("cpus cannot be changed") }, "\(agent.told)")
        #expect(try await run(of: 0, on: host) == before, "nothing was restarted for it")

        try host.scratch.write(#"{"containers": ["#, to: "containers.json")
        #expect(await eventually { agent.told.contains("the last good one stays in force") }, "\(agent.told)")
        #expect(try await state(0, on: host) == "running")

        // One that cannot be made does not keep the others from what is declared.
        let bad = #"{"specification": {"name": "\#(names[2])", "template": "\#(UUID().uuidString.lowercased())"}}"#
        try declare([bad, declared(1, on: host)], on: host)
        agent.program.signal(SIGHUP)
        #expect(try await becomes("running", 1, on: host), "\(agent.told)")
        #expect(try await becomes("shutOff", 0, on: host), "what is declared no more is stopped: \(agent.told)")
        #expect(await eventually { agent.told.contains("container=\(names[2])") && agent.told.contains("again") })
        try declare([declared(0, on: host, Self.shares), declared(1, on: host)], on: host)
        #expect(try await becomes("running", 0, on: host), "\(agent.told)")
    }

    private func isFoundAgain(_ host: ContainerHost) async throws {
        let before = [try await run(of: 0, on: host), try await run(of: 1, on: host)]
        try declare([declared(0, on: host, Self.shares)], on: host)
        try await run(host, "--destroy-undeclared") { agent async throws in
            #expect(try await becomes(nil, 1, on: host), "\(agent.told)")
            #expect(try await run(of: 0, on: host) == before[0], "what runs as declared is not touched")
            #expect(!agent.told.contains("container=\(names[0])"), "\(agent.told)")
            #expect(await agent.end(SIGINT) == 0)
        }
        try await run(host, "--stop-containers") { agent in
            #expect(await eventually { agent.told.contains("agent started") }, "\(agent.told)")
            #expect(await agent.end() == 0)
        }
        #expect(try await state(0, on: host) == "shutOff")
    }

    @Test func whatAContainerWritesOnItsConsoleIsKept() async throws {
        try await ContainerHost.run { host in
            try declare([declared(0, on: host, #", "consoleLog": "16KiB""#), declared(1, on: host)], on: host)
            let log = { try await host.container("log", names[0]).stdout }
            try await run(host) { agent async throws in
                #expect(try await eventually { try await log().contains("hello from \(names[0])") }, "\(agent.told)")
                let file = host.scratch["followed"]
                let follower = try RunningProgram(
                    "/bin/sh",
                    ["-c", #"exec "$0" "$@" >"$OUTPUT""#, Lxcctl.path] + host.arguments("log", names[0], "--follow"),
                    environment: ["OUTPUT": file])
                let speak = ["/bin/busybox", "sh", "-c", "echo spoken >/dev/console"]
                #expect(try await host.container(["exec", names[0], "--"] + speak).status == 0)
                let followed = { String(decoding: FileManager.default.contents(atPath: file) ?? Data(), as: UTF8.self) }
                #expect(await eventually { followed().contains("hello from") && followed().contains("spoken") })
                follower.signal(SIGTERM)
                #expect(await follower.outcome().status == 1, "it was interrupted")
                #expect(try await host.container("log", names[0], "--bytes", "4").stdout.utf8.count == 4)

                // A person has the console alone, and the log goes on afterwards.
                let person = try RunningProgram(
                    Lxcctl.path, host.arguments("console", names[0], "--for", "5"), closingInput: false)
                try person.type("a question\n")
                let answer = await person.outcome()
                #expect(answer.status == 0 && answer.stdout.contains("got a question"), "\(answer)")
                #expect(try await !log().contains("got a question"))
                #expect(try await log().contains("the console was opened"))
                #expect(
                    try await eventually {
                        _ = try await host.container(["exec", names[0], "--"] + speak)
                        return try await log().split(separator: "the console was opened").last?.contains("spoken")
                            == true
                    })

                try await host.container("log", names[1]).expectFailure(naming: [names[1], "consoleLog"])
                #expect(await agent.end() == 0)
            }
        }
    }

    @Test func itsCommandLineAndFirstFile() async throws {
        let scratch = try Scratch()
        let run = { (arguments: [String]) in try await RunningProgram(RunningAgent.path, arguments).outcome() }
        #expect(try await run([]).status == 64)
        #expect(try await run(["file", "--interval", "0"]).status == 64)
        #expect(try await run(["--help"]).status == 0)
        let missing = try await run([scratch["missing.json"]])
        #expect(
            missing.status == 1 && missing.stderr.hasPrefix("host-agent: ") && missing.stderr.contains("missing.json"))
        let broken = try await run([scratch.write("{", to: "broken.json")])
        #expect(broken.status == 1 && broken.stderr.contains("JSON"), "\(broken.stderr)")
        #expect(broken.stderr.split(separator: "\n").count == 1, "\(broken.stderr)")
    }
}
