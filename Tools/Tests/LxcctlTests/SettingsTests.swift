// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// The configuration file.
@Suite(.timeLimit(.minutes(15)), .host(.root)) struct SettingsTests {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    @Test func storesFromTheFile() async throws {
        let primary = try scratch.makeDirectory("primary")
        let secondary = try scratch.makeDirectory("secondary")
        let config = try scratch.write(
            """
            # CloudStack's own keys are no concern of the tool's.
            guid=0b1b0ea0-2ce9-4e7c-a4b1-3b1f9a0d7a5c
            local.storage.path: \(primary)
            lxcctl.secondary.storage = \(secondary)

            """, to: "agent.properties")
        let id = try await Lxcctl.run("pool", "create", "--config", config).line()
        let info = try await Lxcctl.run("pool", "info", "--json", "--config", config).json()
        #expect(info["path"] == .text(primary))
        #expect(info["pool"] == .text(id))
        let list = try await Lxcctl.run("template", "list", "--json", "--config", config).json()
        #expect(list.keys == ["templates", "broken"])

        let other = try scratch.makeDirectory("other")
        _ = try await Lxcctl.run("pool", "create", "--primary", other).line()
        let overridden = try await Lxcctl.run("pool", "info", "--json", "--config", config, "--primary", other).json()
        #expect(overridden["path"] == .text(other), "an option wins over the file")
    }

    /// What is at the configured place must be the configured pool, and an empty mount point is none.
    @Test func thePoolIsTheConfiguredOne() async throws {
        let primary = try scratch.makeDirectory("primary")
        let id = UUID().uuidString.lowercased()
        let config = try scratch.write("local.storage.path=\(primary)\nlocal.storage.uuid=\(id)\n", to: "a.properties")
        for command in [
            ["pool", "info"], ["pool", "list", "--pool", "primary"], ["pool", "gc"], ["volume", "list"],
        ] {
            try await Lxcctl.fails(command + ["--config", config], naming: [primary, "pool create"])
        }
        #expect(scratch.list("primary") == [])
        #expect(try await Lxcctl.run("pool", "create", "--config", config).line() == id)
        #expect(try await Lxcctl.run("pool", "info", "--json", "--config", config).json()["pool"] == .text(id))
        let other = try scratch.write(
            "local.storage.path=\(primary)\nlocal.storage.uuid=\(UUID().uuidString)\n", to: "b.properties")
        for command in [["info"], ["list", "--pool", "primary"], ["gc"]] {
            try await Lxcctl.fails(["pool"] + command + ["--config", other], naming: [primary, id])
        }
        // Without the file's location its pool says nothing.
        #expect(try await Lxcctl.run("pool", "info", "--config", other, "--primary", primary).status == 0)
    }

    @Test func missingStores() async throws {
        let config = try scratch.write("local.storage.path=\n", to: "agent.properties")
        try await Lxcctl.fails(
            ["pool", "info", "--config", config], naming: ["--primary", "local.storage.path", config])
        try await Lxcctl.fails(
            ["template", "list", "--config", config], naming: ["--secondary", "lxcctl.secondary.storage", config])
        try await Lxcctl.fails(
            ["container", "create", "web1", "--template", "402b0be5-b840-3fef-b292-d330f3bf809a", "--config", config],
            naming: ["--primary"])
    }

    @Test func fileThatCannotBeRead() async throws {
        for path in [scratch["missing.properties"], scratch.path] {
            try await Lxcctl.fails(["pool", "info", "--config", path], naming: [path])
        }
        let broken = try scratch.write("local.storage.path=\\u00zz\n", to: "broken.properties")
        try await Lxcctl.fails(["pool", "info", "--config", broken], naming: [broken])
    }

    @Test func networkLocationInTheFile() async throws {
        let url = "nfs://127.0.0.1/export?nfsport=1&mountport=1"
        let config = try scratch.write("local.storage.path=\(url)\n", to: "agent.properties")
        try await Lxcctl.fails(["pool", "info", "--config", config], naming: ["NFS server 127.0.0.1"])
    }

    @Test(arguments: ["lxc:///system?socket=/nonexistent", "nonsense:///", "lxc+unix:///system?socket=/nonexistent"])
    func daemonThatIsNotThere(_ uri: String) async throws {
        for command in [["container", "list"], ["container", "start", "web1"], ["host", "info"]] {
            try await Lxcctl.fails(command + ["--connect", uri], naming: ["libvirt"])
        }
        let config = try scratch.write("hypervisor.uri=\(uri)\n", to: "agent.properties")
        try await Lxcctl.fails(["container", "list", "--config", config], naming: ["libvirt"])
        let primary = try scratch.makeDirectory("primary")
        try await Lxcctl.fails([
            "container", "create", "web1", "--template", "402b0be5-b840-3fef-b292-d330f3bf809a", "--primary", primary,
            "--connect", uri,
        ])
        #expect(scratch.list("primary").filter { $0 != ".lxc" } == [])
    }
}
