// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// What happens to containers and what they may use, each command a process of its own.
@Suite(.timeLimit(.minutes(15)), .host(.root, .libvirtd, .busybox)) struct LifecycleTests {
    private let name = "lxcctl-test-\(UInt32.random(in: 0 ... .max))"

    @Test func eventsLimitsAndReports() async throws {
        try await ContainerHost.run { host in
            #expect(
                try await host.container("create", name, "--template", host.template, "--memory", "64MiB").line()
                    == name)
            let file = host.scratch["events"]
            let command = #"exec "$0" "$@" >"$OUTPUT""#
            let events = try RunningProgram(
                "/bin/sh", ["-c", command, Lxcctl.path] + host.arguments("events", "--json"),
                environment: ["OUTPUT": file])
            #expect(try await host.container("start", name).status == 0)
            try await limits(on: host)
            try await reports(on: host)
            #expect(try await host.container("reboot", name).line() == "\(name) running")
            #expect(try await host.container("suspend", name).line() == "\(name) paused")
            #expect(
                try await host.container("wait", name, "--state", "paused", "--timeout", "60").line()
                    == "\(name) paused")
            #expect(try await host.container("resume", name).line() == "\(name) running")
            try await host.container("wait", name, "--timeout", "0").expectFailure(naming: [name, "shutOff"])
            #expect(try await host.container("stop", name).line() == "\(name) shutOff (graceful)")
            #expect(try await host.container("destroy", name).line() == "\(name) destroyed")
            let told = { String(decoding: FileManager.default.contents(atPath: file) ?? Data(), as: UTF8.self) }
            #expect(await eventually { told().contains("undefined") })
            events.signal(SIGTERM)
            #expect(await events.outcome().status == 1, "it was interrupted")
            let lines = try told().split(separator: "\n").map {
                try JSON(JSONSerialization.jsonObject(with: Data($0.utf8)))
            }
            let kinds = lines.filter { $0["container"] == .text(name) }.compactMap { $0["event"].text }
            // What came before it listened is not told.
            #expect(
                kinds.suffix(6) == ["stopped", "started", "suspended", "resumed", "stopped", "undefined"], "\(kinds)")
        }
    }

    private func limits(on host: ContainerHost) async throws {
        let set = ["set", name, "--memory", "48MiB", "--cpu-shares", "300", "--cpu-set", "0", "--autostart", "on"]
        let report = try await host.container(set + ["--json"]).json()
        #expect(report.keys == ["limits", "autostart"])
        #expect(report["limits"]["memory"] == 50_331_648)
        #expect(report["limits"]["cpuShares"] == 300)
        #expect(report["limits"]["cpuSet"] == "0")
        #expect(report["autostart"] == true)
        let shown = try await host.container("set", name)
        shown.expectPlainText()
        #expect(shown.stdout.contains("48.0 MiB"))
        try await host.container("set", name, "--cpu-quota", "5").expectFailure(naming: ["quota"])
        try await host.container("set", name, "--disk-read", "sda").expectFailure(naming: ["--disk-read"])
        #expect(try await host.container("set", name, "--autostart", "off", "--json").json()["autostart"] == false)
    }

    private func reports(on host: ContainerHost) async throws {
        let all = try await host.container("stats", "--all", "--interval", "0.2", "--json").json()
        #expect(all.count == 1)
        #expect(all[0]["container"] == .text(name))
        #expect(all[0].keys == ["container", "cpuPercent", "statistics"])
        let table = try await host.container("stats", "--all", "--interval", "0")
        #expect(table.stdout.hasPrefix("NAME ") && table.stdout.contains(name))
        #expect(try await host.container("stats").status == 64)
        #expect(try await host.container("stats", name, "--all").status == 64)

        let report = try await Lxcctl.run("host", "report", "--json", "--config", host.config)
        let document = try JSON(JSONSerialization.jsonObject(with: Data(report.stdout.utf8)))
        #expect(document.keys == ["hostName", "guests", "failures"])
        let guest = JSON.object(["name": .text(name), "driver": "libvirt-lxc", "power": "PowerOn"])
        guard case .list(let guests) = document["guests"] else {
            Issue.record("\(report.stdout)")
            return
        }
        #expect(guests.contains(guest))
        // Where the host has no driver for machines, that is said and is a failure.
        #expect((document["failures"].count == 0) == (report.status == 0), "\(report.stderr)")

        let statistics = try await Lxcctl.run("host", "stats", "--interval", "0.1", "--json", "--config", host.config)
            .json()
        #expect(statistics.keys == ["cpuPercent", "host"])
        #expect(
            statistics["host"].keys == [
                "cpus", "cpuBusySeconds", "cpuTotalSeconds", "loadAverages", "memory", "memoryAvailable",
                "memoryForGuests", "uptimeSeconds", "root", "pools",
            ])
        let text = try await Lxcctl.run("host", "stats", "--interval", "0", "--config", host.config)
        text.expectPlainText()
        #expect(text.stdout.contains("for guests:"))
    }

    /// What a program that died leaves, with its libvirtd: volumes nobody has, and leases of this host on them.
    @Test func whatWasLeftIsListedAndAdoptedOrRemoved() async throws {
        try await ContainerHost.run { host in
            let options = ["--config", host.config]
            #expect(try await host.container("create", name, "--template", host.template).status == 0)
            #expect(try await host.container("start", name).status == 0)
            let lease = try await Lxcctl.run(["lease", "show", "--json"] + options).json()[0]
            #expect(lease["use"] == .text("container \(name)"))
            let holder = try #require(lease["holder"].text)
            let list = ["pool", "leftovers", "--json"] + options
            #expect(try await Lxcctl.run(list).json() == .list([]), "what runs is not left over")

            let create = ["volume", "create", "--template", host.template, "--id-map", "0:600000000:65536"] + options
            let volumes = [try await Lxcctl.run(create).line(), try await Lxcctl.run(create).line()]
            for volume in volumes {
                try host.scratch.write(
                    #"{"volume":"\#(volume)","holder":"\#(holder)","acquired":"2024-01-01T00:00:00Z"}"#,
                    to: "primary/.lxc/leases/\(volume).json")
            }
            let left = try await Lxcctl.run(list).json()
            #expect(Set([left[0]["volume"].text, left[1]["volume"].text]) == Set(volumes))
            #expect(left[0]["lease"]["holder"] == .text(holder))

            let change = { try await Lxcctl.run(["pool", "leftovers"] + $0 + options) }
            #expect(try await change(["--release", volumes[0]]).line() == "released \(volumes[0])")
            #expect(try await change(["--remove", volumes[1]]).line() == "removed \(volumes[1])")
            try await change(["--remove", volumes[1]]).expectFailure(naming: [volumes[1]])
            let second = "\(name)-b"
            #expect(try await change(["--adopt", volumes[0], "--name", second]).line() == second)
            #expect(try await Lxcctl.run(list).json() == .list([]))
            #expect(try await host.container("start", second).status == 0)
            for name in [name, second] { #expect(try await host.container("destroy", name).status == 0) }
            #expect(try await Lxcctl.run(["lease", "show", "--json"] + options).json() == .list([]))
        }
    }
}
