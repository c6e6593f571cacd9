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
                "memoryForGuests", "uptimeSeconds", "root", "pool",
            ])
        let text = try await Lxcctl.run("host", "stats", "--interval", "0", "--config", host.config)
        text.expectPlainText()
        #expect(text.stdout.contains("for guests:"))
    }
}
