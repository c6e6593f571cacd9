// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// `lxcctl vm …` with machines whose disks boot nothing: what runs in them the library's own tests see.
@Suite(.timeLimit(.minutes(15)), .host(.root, .libvirtd, .qemu)) struct VMTests {
    private let name = "v-\(UInt32.random(in: 1 ... .max))-VM"

    /// Stores, and a private libvirtd unless the system's answers.
    private struct Host {
        let scratch: Scratch
        let config: String

        init() async throws {
            scratch = try Scratch()
            let primary = try scratch.makeDirectory("primary")
            let secondary = try scratch.makeDirectory("secondary")
            config = try scratch.write(
                """
                local.storage.path=\(primary)
                lxcctl.secondary.storage=\(secondary)
                lxcctl.libvirtd.directory=\(scratch["libvirt"])

                """, to: "agent.properties")
            try await LxcctlTests.host("/usr/bin/qemu-img", "create", "-q", "-f", "qcow2", scratch["disk"], "16M")
        }

        func lxcctl(_ arguments: String...) async throws -> Outcome {
            try await Lxcctl.run(arguments + ["--config", config])
        }

        /// Registers and installs the image; its UUID.
        func install() async throws -> String {
            let template = try await lxcctl(
                "template", "register", scratch["disk"], "--account", "1", "--id", "3", "--name", "systemvm", "--json")
            #expect(try template.json()["format"] == "qcow2")
            return try await lxcctl("template", "install", "1/3").line()
        }

        func specification(_ name: String, _ image: String, _ more: String = "") throws -> String {
            try scratch.write(
                #"{"name": "\#(name)", "template": "\#(image)", "memory": "64MiB", "acceleration": "qemu"\#(more)}"#,
                to: "vm.json")
        }
    }

    private func withHost(_ body: (Host) async throws -> Void) async throws {
        let host = try await Host()
        let result: Result<Void, any Error>
        do { result = .success(try await body(host)) } catch { result = .failure(error) }
        _ = try? await host.lxcctl("vm", "destroy", name)
        #expect(await eventually { ContainerHost.processes(mentioning: host.scratch["libvirt"]).isEmpty })
        try result.get()
    }

    @Test func aMachineGoesThroughItsLife() async throws {
        try await withHost { host in
            let image = try await host.install()
            let file = try host.specification(name, image)
            #expect(try await host.lxcctl("vm", "start", file).line() == "\(name) running (qemu)")
            let list = try await host.lxcctl("vm", "list").stdout.split(separator: "\n")
            #expect(list.first?.hasPrefix("NAME") == true)
            #expect(list.contains { $0.hasPrefix("\(name)  running  ") })
            let shown = try await host.lxcctl("vm", "show", name, "--json").json()
            #expect(shown["acceleration"] == "qemu" && shown["guest"]["state"] == "running")
            #expect(shown["template"] == .text(image))
            // The firmware finds nothing to boot, and says so.
            #expect(try await host.lxcctl("vm", "console", name, "--for", "1").status == 0)
            let pool = try await host.lxcctl("pool", "list", "--pool", "primary", "--json").json()
            #expect(pool["disks"][0]["id"] == shown["disk"] && pool["images"][0]["id"] == .text(image))

            #expect(try await host.lxcctl("vm", "start", name).stderr.contains("is running already"))
            #expect(try await host.lxcctl("vm", "reboot", name, "--timeout", "0").line() == "\(name) running")
            #expect(try await host.lxcctl("vm", "stop", name, "--timeout", "0").line() == "\(name) shutOff (forced)")
            #expect(try await host.lxcctl("vm", "start", name).line() == "\(name) running (qemu)")
            #expect(try await host.lxcctl("vm", "destroy", name, "--json").json()["state"] == "destroyed")
            #expect(host.scratch.list("primary").filter { $0 != ".lxc" } == [image])
        }
    }

    @Test func mistakesAreNamed() async throws {
        try await withHost { host in
            let image = try await host.install()
            for (more, text) in [
                (#", "memroy": 1"#, "memroy"), (#", "cpus": "many""#, "cpus"),
                (#", "bootArguments": "a\nb""#, "one line"),
                (#", "nics": [{"bridge": "no-such-bridge"}]"#, "no-such-bridge"),
            ] {
                let outcome = try await host.lxcctl("vm", "create", host.specification(name, image, more))
                #expect(outcome.status == 1 && outcome.stderr.contains(text), "\(outcome.stderr)")
            }
            let missing = try await host.lxcctl("vm", "stop", "v-0-VM")
            #expect(missing.status == 1 && missing.stderr.contains("no system VM v-0-VM"))
            #expect(host.scratch.list("primary").filter { $0 != ".lxc" } == [image])
        }
    }
}
