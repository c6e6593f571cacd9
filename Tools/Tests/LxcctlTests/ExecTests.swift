// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// Commands inside containers, as who calls lxcctl has them: what they inherit, and how they end.
@Suite(.timeLimit(.minutes(15)), .host(.root, .libvirtd, .busybox)) struct ExecTests {
    private let name = "lxcctl-exec-\(UInt32.random(in: 0 ... .max))"
    private let shell = ["--", "/bin/busybox", "sh", "-c"]

    private func started(_ options: String..., on host: ContainerHost) async throws {
        let create = ["create", name, "--template", host.template, "--memory", "64MiB"]
        try #require(try await host.container(create + options).status == 0)
        try #require(try await host.container("start", name).status == 0)
    }

    /// Capabilities, limits, processors and priorities are those of process 1 (CVE-2022-24769).
    @Test(arguments: [false, true])
    func nothingOfTheCallerIsInherited(privileged: Bool) async throws {
        try await ContainerHost.run { host in
            if privileged { try await started("--privileged", on: host) } else { try await started(on: host) }
            let script = """
                for process in self 1; do
                    busybox grep -E '^(CapInh|CapBnd|CapAmb|Cpus_allowed|NoNewPrivs|SigBlk)' /proc/$process/status
                    busybox grep -E 'open files|core' /proc/$process/limits
                    busybox cut -d' ' -f19,40,41 /proc/$process/stat; busybox cat /proc/$process/personality
                done
                """
            let caller = """
                trap '' 10 12
                exec /usr/bin/setpriv --inh-caps +sys_module,+sys_time,+mknod /usr/bin/prlimit --nofile=333: --core=0: \
                /usr/bin/taskset 1 /usr/bin/nice -n 7 /usr/bin/setarch -R "$0" "$@"
                """
            let program = try RunningProgram(
                "/bin/sh", ["-c", caller, Lxcctl.path] + host.arguments("exec", name) + shell + [script])
            let outcome = await program.outcome()
            #expect(outcome.status == 0, "\(outcome.stderr)")
            let lines = outcome.stdout.split(separator: "\n")
            #expect(lines.count == 22, "\(outcome.stdout)")
            #expect(lines.prefix(lines.count / 2) == lines.suffix(lines.count / 2))
        }
    }

    @Test func aReaderThatPausesHoldsNobodyUp() async throws {
        try await ContainerHost.run { host in
            try await started(on: host)
            let script = #"mkfifo "$FIFO"; sleep 60 <"$FIFO" >/dev/null 2>&1 & exec "$0" "$@" >"$FIFO""#
            func paused(_ fifo: String, _ options: String...) throws -> RunningProgram {
                let command = host.arguments("exec", name) + options + ["--", "/bin/busybox", "yes"]
                return try RunningProgram(
                    "/bin/sh", ["-c", script, Lxcctl.path] + command, environment: ["FIFO": host.scratch[fifo]])
            }
            let clock = ContinuousClock()
            for signal in [SIGINT, SIGTERM] {
                let program = try paused("fifo\(signal)")
                #expect(try await eventually { try await processes("busybox yes", on: host) == 1 })
                let start = clock.now
                program.signal(signal)
                #expect(await program.outcome().status == 1)
                #expect(clock.now - start < .seconds(30))
            }
            let start = clock.now
            #expect(await (try paused("fifo", "--timeout", "2")).outcome().status == 124)
            #expect(clock.now - start < .seconds(30))
            #expect(try await eventually { try await processes("busybox yes", on: host) == 0 })
        }
    }

    @Test(arguments: [SIGKILL, SIGHUP])
    func whatACallerLeavesIsEnded(signal: Int32) async throws {
        try await ContainerHost.run { host in
            try await started(on: host)
            let script = "busybox setsid busybox sleep 7101 & busybox sleep 7102"
            let program = try RunningProgram(Lxcctl.path, host.arguments("exec", name) + shell + [script])
            #expect(try await eventually { try await processes("sleep 710", on: host) == 2 })
            program.signal(signal)
            _ = await program.outcome()
            #expect(try await eventually { try await processes("sleep 710", on: host) == 0 })
        }
    }

    /// A command needs the container alone.
    @Test func theStoreMayBeAway() async throws {
        try await ContainerHost.run { host in
            try await started(on: host)
            let away = "\(host.primary).away"
            try FileManager.default.moveItem(atPath: host.primary, toPath: away)
            let outcome = try await host.container(["exec", name] + shell + ["echo here"])
            try FileManager.default.moveItem(atPath: away, toPath: host.primary)
            #expect(outcome.stdout == "here\n", "\(outcome.stderr)")
            try await host.container(["exec", "no-such"] + shell + ["true"]).expectFailure(naming: ["no-such", "list"])
        }
    }

    @Test func valuesMayBeginWithADash() async throws {
        try await ContainerHost.run { host in
            let create = [
                "create", name, "--template", host.template, "--init", "/bin/busybox", "--arg", "sh", "--arg", "-c",
                "--arg", "while :; do read -t 9 x; done", "--processes", "77", "--json",
            ]
            let specification = try await host.container(create).json()
            #expect(specification["arguments"] == .list(["sh", "-c", "while :; do read -t 9 x; done"]))
            #expect(specification["processes"] == 77)
            #expect(try await host.container("set", name, "--cpu-quota", "20000").status == 0)
            let limits = try await host.container("set", name, "--cpu-quota", "-1", "--processes", "88", "--json")
                .json()
            #expect(!limits["limits"].keys.contains("cpuQuota"))
            #expect(limits["limits"]["processes"] == 88)
            #expect(try await host.container("show", name).stdout.contains("at most 88"))
        }
    }

    /// How many processes inside have a command line with this in it.
    private func processes(_ text: String, on host: ContainerHost) async throws -> Int {
        let list = "for line in /proc/[0-9]*/cmdline; do busybox tr '\\0' ' ' <$line; echo; done 2>/dev/null"
        let pattern = "[\(text.prefix(1))]\(text.dropFirst())"
        let script = "\(list) | busybox grep -v 'sh -c' | busybox grep -c '\(pattern)'; true"
        return Int(try await host.container(["exec", name] + shell + [script]).stdout.dropLast()) ?? -1
    }
}
