// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// Containers from creation to destruction, each command a process of its own.
@Suite(.timeLimit(.minutes(15)), .host(.root, .libvirtd, .busybox)) struct ContainerTests {
    private let name = "lxcctl-test-\(UInt32.random(in: 0 ... .max))"

    @Test func unprivilegedContainer() async throws {
        try await ContainerHost.run { host in
            let map = try await creates(on: host)
            try await startsAndAnswers(on: host, map: map)
            try await runsCommands(on: host, map: map)
            try await showsWhatIsThere(on: host)
            try await stopsAndGoes(on: host)
        }
    }

    /// Returns the id map that was chosen, as the container sees it.
    private func creates(on host: ContainerHost) async throws -> String {
        let create = [
            "create", name, "--template", host.template, "--bridge", host.bridge, "--memory", "64MiB", "--owner", "me",
            "--env", "ADDRESS=\(host.network).2",
        ]
        let specification = try await host.container(create + ["--json"]).json()
        #expect(
            specification.keys == [
                "name", "uuid", "template", "volume", "idMap", "init", "environment", "memory", "cpus", "processes",
                "nics",
                "owner",
            ])
        let map = try #require(specification["idMap"][0].text)
        // Which range is free other containers of the host decide.
        #expect(map.hasPrefix("0:") && map.hasSuffix(":65536") && map != "0:0:65536")
        let volume = try #require(specification["volume"].text)
        #expect(Set(host.roots) == [host.template, volume])

        try await host.container(create).expectFailure(naming: [name])
        #expect(Set(host.roots) == [host.template, volume], "a failed creation leaves no volume")
        #expect(try await host.containers() == [name])
        return map.replacing(":", with: " ")
    }

    private func startsAndAnswers(on host: ContainerHost, map: String) async throws {
        try await host.container("stats", name).expectFailure(naming: [name])
        let console = try await host.container("console", name)
        console.expectFailure(naming: [name, "start"])
        let started = try await host.container("start", name, "--json").json()
        #expect(started == .object(["container": .text(name), "state": "running"]))
        try await host.container("start", name).expectFailure(naming: [name, "running"])

        let program = try RunningProgram(
            Lxcctl.path, host.arguments("console", name, "--for", "4"), closingInput: false)
        try program.type("first\n")
        try program.type("second\n")
        try program.closeInput()
        let outcome = await program.outcome()
        #expect(outcome.status == 0, "\(outcome.stderr)")
        #expect(outcome.stderr.isEmpty)
        #expect(outcome.stdout.contains("hello from"))
        #expect(outcome.stdout.contains("map  \(map)"), "\(outcome.stdout)")
        #expect(outcome.stdout.contains("got first"))
        #expect(outcome.stdout.contains("got second"))

        let onTerminal = try await Lxcctl.runOnTerminal(
            host.arguments("console", name), typing: #"sleep 1; printf 'third\n'; sleep 2; printf '\035'; sleep 1"#)
        #expect(onTerminal.status == 0, "\(onTerminal.stderr)")
        #expect(onTerminal.stdout.contains("Ctrl-]"), "says how to leave: \(onTerminal.stdout)")
        #expect(onTerminal.stdout.contains("got third"))
        #expect(try await host.container("list", "--json").json()[0]["state"] == "running", "it runs on")
    }

    private func runsCommands(on host: ContainerHost, map: String) async throws {
        let shell = ["--", "/bin/busybox", "sh", "-c"]
        let id = try await host.container(
            ["exec", name] + shell + ["busybox id -u; busybox tr -s ' ' </proc/self/uid_map; echo oops >&2"])
        #expect(id.status == 0, "\(id.stderr)")
        #expect(id.stdout.split(whereSeparator: \.isNewline) == ["0", " \(map)"])
        #expect(id.stderr == "oops\n")
        #expect(try await host.container(["exec", name] + shell + ["exit 7"]).status == 7)
        #expect(try await host.container(["exec", name] + shell + ["kill -9 $$"]).status == 137)
        let options = ["--user", "1000:1001", "--env", "WHO=me", "--cwd", "/tmp", "--json"]
        let report = try await host.container(
            ["exec", name] + options + shell + ["echo $WHO; busybox pwd; busybox id -g; exit 3"])
        #expect(report.status == 3)
        let document = try JSON(JSONSerialization.jsonObject(with: Data(report.stdout.utf8)))
        #expect(document == .object(["status": 3, "stdout": "me\n/tmp\n1001\n", "stderr": ""]))
        let late = ["--timeout", "0.2", "--", "/bin/busybox", "sleep", "1000"]
        #expect(try await host.container(["exec", name] + late).status == 124, "as timeout(1) has it")
        let missing = try await host.container("exec", name, "--", "no-such-program")
        #expect(missing.status == 127 && missing.stderr.contains("no-such-program"))
        #expect(try await host.container("exec", name, "--", "/sbin").status == 126)
        #expect(try await host.container("exec", name).status == 64)

        let input = try RunningProgram(
            Lxcctl.path, host.arguments("exec", name) + ["--", "/bin/busybox", "cat"], closingInput: false)
        try input.type("typed\n")
        try input.closeInput()
        #expect(await input.outcome().stdout == "typed\n")
        let onTerminal = try await Lxcctl.runOnTerminal(host.arguments("exec", name) + ["--", "/bin/busybox", "tty"])
        #expect(onTerminal.stdout.contains("/dev/pts/"), "\(onTerminal.stdout)")

        try host.scratch.write("pushed\n", to: "file")
        let push = ["push", name, host.scratch["file"], "/tmp/file", "--mode", "640", "--owner", "7:8"]
        #expect(try await host.container(push).status == 0)
        let seen = try await host.container(
            ["exec", name] + shell + ["busybox stat -c '%a %u:%g' /tmp/file; busybox cat /tmp/file"])
        #expect(seen.stdout == "640 7:8\npushed\n")
        #expect(try await host.container("pull", name, "/tmp/file", host.scratch["pulled"]).status == 0)
        #expect(try String(contentsOfFile: host.scratch["pulled"], encoding: .utf8) == "pushed\n")
        try await host.container("pull", name, "/tmp/file", host.scratch["pulled"]).expectFailure(naming: ["pulled"])
    }

    private func showsWhatIsThere(on host: ContainerHost) async throws {
        let guests = try await host.container("list", "--json").json()
        #expect(guests.count == 1)
        #expect(guests[0].keys == ["name", "uuid", "state", "id"])
        let table = try await host.container("list").stdout.split(separator: "\n")
        #expect(table.count == 2)
        #expect(table.first?.hasPrefix("NAME ") == true)

        let shown = try await host.container("show", name, "--json").json()
        #expect(
            shown.keys == [
                "guest", "root", "template", "volume", "pool", "owner", "privileged", "memory", "processes",
                "interfaces",
            ])
        #expect(shown["guest"] == guests[0])
        #expect(shown["privileged"] == false)
        #expect(shown["memory"] == 67_108_864)
        #expect(shown["root"] == .text("\(host.primary)/\(shown["volume"].text ?? "")"))
        #expect(shown["interfaces"][0].keys == ["device", "mac", "guestDevice"])
        #expect(shown["interfaces"][0]["guestDevice"] == "eth0")
        #expect(host.ports == [shown["interfaces"][0]["device"].text ?? ""])
        let text = try await host.container("show", name)
        for word in [name, "running", host.template, "64.0 MiB", "eth0"] { #expect(text.stdout.contains(word)) }
        text.expectPlainText()

        let statistics = try await host.container("stats", name, "--json").json()
        #expect(
            statistics.keys == [
                "cpuNanoseconds", "virtualCPUs", "memoryUsed", "memoryLimit", "interfaces", "monotonicNanoseconds",
                "memoryCache", "swapUsed", "outOfMemoryKills", "processes", "processLimit", "blockIO",
            ])
        #expect((statistics["memoryUsed"].number ?? 0) > 0)
        #expect(
            statistics["interfaces"][0].keys == [
                "device", "receivedBytes", "receivedPackets", "sentBytes", "sentPackets",
            ])
        #expect(try await host.container("stats", name).stdout.contains("of 64.0 MiB"))
        let info = try await Lxcctl.run("host", "info", "--json", "--config", host.config).json()
        #expect(info.keys == ["host", "libvirt", "containers"])
        #expect(info["host"].keys == ["hostName", "kernel", "architecture", "cpus", "memory", "controlGroups"])
        #expect(info["libvirt"].keys == ["uri", "version", "isPrivate"])
        #expect(info["containers"] == 1)

        // Its volume is in use: it cannot go.
        let volume = try #require(shown["volume"].text)
        try await Lxcctl.run("volume", "delete", volume, "--config", host.config).expectFailure(naming: [volume])
        #expect(host.roots.contains(volume))
    }

    private func stopsAndGoes(on host: ContainerHost) async throws {
        let stopped = try await host.container("stop", name, "--timeout", "20", "--json").json()
        let graceful = JSON.object(["container": .text(name), "state": "shutOff", "outcome": "graceful"])
        #expect(stopped == graceful)
        #expect(host.ports == [])
        let again = try await host.container("stop", name, "--json").json()
        #expect(again == .object(["container": .text(name), "state": "shutOff", "outcome": "notRunning"]))
        #expect(try await host.container("list", "--json").json()[0].keys == ["name", "uuid", "state"])

        #expect(try await host.container("start", name).status == 0)
        let killed = try await host.container("stop", name, "--timeout", "0", "--json").json()
        #expect(killed["outcome"] == "forced")
        #expect(try await host.container("start", name).status == 0)
        let destroyed = try await host.container("destroy", name, "--json").json()
        #expect(destroyed == .object(["container": .text(name), "state": "destroyed"]))
        #expect(host.roots == [host.template])
        #expect(try await host.containers() == [])
        #expect(host.ports == [])
        #expect(try await host.container("destroy", name).status == 0, "what is gone is no error")
        for verb in ["start", "stop", "show", "stats", "console"] {
            try await host.container(verb, name).expectFailure(naming: [name])
        }
    }

    @Test func privilegedContainerFromSpecification() async throws {
        try await ContainerHost.run { host in
            let file = try host.scratch.write(
                """
                {"name": "\(name)", "template": "\(host.template)", "privileged": true, "memory": 67108864,
                 "nics": [{"bridge": "\(host.bridge)"}], "title": "From a file", "cpus": 1, "cpuShares": 512}
                """, to: "container.json")
            #expect(try await host.container("create", "--spec", file).line() == name)
            #expect(try await host.container("start", name).line() == "\(name) running")
            let shown = try await host.container("show", name, "--json").json()
            #expect(shown["privileged"] == true)
            let console = try await host.container("console", name, "--for", "2")
            #expect(console.stdout.contains("map  0 0 4294967295"), "\(console.stdout)")

            // A console ends with its container.
            let attached = try RunningProgram(Lxcctl.path, host.arguments("console", name), closingInput: false)
            try await Task.sleep(for: .seconds(1))
            #expect(try await host.container("stop", name).line() == "\(name) shutOff (graceful)")
            #expect(await attached.outcome().status == 0)
            #expect(try await host.container("destroy", name).line() == "\(name) destroyed")
            #expect(host.roots == [host.template])
        }
    }

    @Test func creationThatCannotBe() async throws {
        try await ContainerHost.run { host in
            let unknown = "11111111-2222-3333-4444-555555555555"
            let base = ["--template", host.template]
            func fails(
                _ arguments: [String], naming words: [String], _ location: SourceLocation = #_sourceLocation
            ) async throws {
                try await host.container(["create"] + arguments).expectFailure(naming: words, location)
                #expect(host.roots == [host.template], sourceLocation: location)
            }
            try await fails([name, "--template", unknown], naming: [unknown])
            try await fails([name, "--template", "x"], naming: ["x"])
            try await fails(["a/b"] + base, naming: ["a/b"])
            try await fails([String(repeating: "x", count: 64)] + base, naming: ["63"])
            try await fails([""] + base, naming: ["63"])
            try await fails([name, "--bridge", "lxcc-nowhere"] + base, naming: ["lxcc-nowhere"])
            try await fails([name, "--bridge", "lo"] + base, naming: ["lo"])
            try await fails([name, "--memory", "much"] + base, naming: ["much"])
            try await fails([name, "--memory", "0"] + base, naming: ["MiB"])
            try await fails([name, "--cpus", "0"] + base, naming: ["processors"])
            try await fails([name, "--init", "sbin/init"] + base, naming: ["sbin/init"])
            try await fails([name, "--env", "A"] + base, naming: ["NAME=VALUE"])
            try await fails([name, "--id-map", "0:1"] + base, naming: ["0:1"])
            try await fails([name, "--volume", "x"] + base, naming: ["x"])
            let away = "nfs://127.0.0.1/export?nfsport=1&mountport=1"
            try await fails([name, "--primary", away] + base, naming: ["NFS server 127.0.0.1"])
            try await fails(["--spec", host.scratch["missing.json"]], naming: ["missing.json"])
            #expect(try await host.containers() == [])
            #expect(host.ports == [])
        }
    }
}
