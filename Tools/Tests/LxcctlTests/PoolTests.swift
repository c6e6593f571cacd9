// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// Several pools in one configuration file.
@Suite(.timeLimit(.minutes(15)), .host(.root)) struct PoolTests {
    private let scratch: Scratch
    private let config: [String]

    init() throws {
        scratch = try Scratch()
        let pools = [try scratch.makeDirectory("fast"), try scratch.makeDirectory("large")]
        let file = try scratch.write(
            """
            local.storage.path=\(pools.joined(separator: ", "))
            lxcctl.secondary.storage=\(try scratch.makeDirectory("secondary"))

            """, to: "agent.properties")
        config = ["--config", file]
    }

    private func run(_ arguments: String...) async throws -> Outcome { try await Lxcctl.run(arguments + config) }

    private func registerTemplate() async throws {
        let archive = try await scratch.makeArchive("root.tar.gz")
        let template = ["--account", "1", "--id", "10", "--name", "small"]
        try #require(try await Lxcctl.run(["template", "register", archive] + template + config).status == 0)
    }

    @Test func poolsAreListed() async throws {
        let fast = try await run("pool", "create", "--pool", "fast").line()
        let list = try await run("pool", "list", "--json").json()
        #expect(list.count == 2)
        #expect(
            list[0]["pool"] == .text(fast) && list[0]["name"] == "fast" && list[0]["path"] == .text(scratch["fast"]))
        #expect(list[0].keys == ["pool", "name", "path", "capacity"])
        // Nobody made the other one yet, which hides nothing.
        #expect(list[1].keys == ["name", "path", "error"])
        let text = try await run("pool", "list").stdout
        #expect(text.contains("UUID") && text.contains(fast) && text.contains("unavailable: \(scratch["large"])"))
    }

    /// A pool is named by the last part of its location, by its location, and by its UUID, also where the file has none.
    @Test func eachPoolHasItsOwnTemplatesAndVolumes() async throws {
        try await registerTemplate()
        let large = try await run("pool", "create", "--pool", "large").line()
        let template = try await run("template", "install", "1/10", "--pool", "large").line()
        for name in ["large", scratch["large"], large] {
            let contents = try await run("pool", "list", "--pool", name, "--json").json()
            #expect(contents["templates"][0]["id"] == .text(template), "\(name)")
        }
        let volume = try await run("volume", "create", "--template", template, "--pool", large).line()
        #expect(scratch.exists("large/\(volume)"))
        // The first is the default, and begins with its first template.
        #expect(try await run("template", "install", "1/10").line() == template)
        #expect(try await run("volume", "list", "--json").json().count == 0)
        #expect(try await run("volume", "list", "--pool", "large", "--json").json().count == 1)
        let statistics = try await run("host", "stats", "--interval", "0", "--json").json()
        #expect(statistics["host"]["pools"].count == 2)
    }

    @Test func whatIsNoPoolIsRefused() async throws {
        _ = try await run("pool", "create")
        for name in ["slow", UUID().uuidString.lowercased()] {
            try await Lxcctl.fails(["pool", "info", "--pool", name] + config, naming: [name, scratch["large"]])
        }
        #expect(try await run("pool", "info", "--pool", "fast", "--primary", scratch["fast"]).status == 64)
        let twins = try scratch.write(
            "local.storage.path=\(scratch["fast"]),/elsewhere/fast\n", to: "twins.properties")
        try await Lxcctl.fails(
            ["pool", "info", "--pool", "fast", "--config", twins], naming: [scratch["fast"], "/elsewhere/fast"])
        let uneven = try scratch.write(
            "local.storage.path=\(scratch["fast"])\nlocal.storage.uuid=\(UUID().uuidString),\(UUID().uuidString)\n",
            to: "uneven.properties")
        try await Lxcctl.fails(["pool", "info", "--config", uneven], naming: ["local.storage.uuid", "1 of them"])
    }
}

/// Containers in several pools.
@Suite(.timeLimit(.minutes(15)), .host(.root, .libvirtd, .busybox), .serialized) struct ContainerPoolTests {
    @Test func aContainerIsFoundInItsPool() async throws {
        try await ContainerHost.run { host in
            let large = try host.scratch.makeDirectory("large")
            let pool = try await Lxcctl.run("pool", "create", "--primary", large).line()
            try host.scratch.write(
                String(contentsOfFile: host.config, encoding: .utf8).replacing(
                    "local.storage.path=\(host.primary)", with: "local.storage.path=\(host.primary),\(large)"),
                to: "agent.properties")
            let create = ["create", "web1", "--template", host.template, "--pool", "large"]
            let refused = try await host.container(create)
            refused.expectFailure(naming: [host.template, pool, "install it"])
            _ = try await host.lxcctl("template", "install", "1/10", "--pool", "large").line()
            let created = try await host.container(create + ["--json"]).json()
            #expect(created["pool"] == .text(pool))
            // The pool is found again without being named.
            #expect(try await host.container("start", "web1").line() == "web1 running")
            let shown = try await host.container("show", "web1", "--json").json()
            #expect(shown["pool"] == .text(pool))
            #expect(try await host.container("stop", "web1").status == 0)
            #expect(try await host.lxcctl("pool", "leftovers", "--json").json().count == 0)
            #expect(try await host.container("destroy", "web1").status == 0)
            #expect(host.scratch.list("large").count == 2, "the template, and the control directory")
        }
    }
}
