// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// `lxcctl nic …` on a running container.
@Suite(.timeLimit(.minutes(15)), .host(.root, .libvirtd, .busybox)) struct NICTests {
    private let name = "lxcctl-test-\(UInt32.random(in: 0 ... .max))"

    @Test func interfacesComeAndGo() async throws {
        try await ContainerHost.run { host in
            try await host.container("create", name, "--template", host.template).expectSuccess()
            try await host.container("start", name).expectSuccess()
            #expect(try await host.nic("list", name, "--json").json() == .list([]))

            let plug = ["plug", name, "--bridge", host.bridge]
            let first = try await host.nic(plug + ["--json"]).json()
            #expect(first["name"] == "eth0" && first["network"] == .text("bridge \(host.bridge)"))
            let second = try await host.nic(plug + ["--isolated", "--rule", "I:tcp;22;22;0.0.0.0/0"])
            #expect(try second.line() == "\(name) eth1 plugged")
            #expect(host.ports.count == 2)
            let table = try await host.nic("list", name).stdout.split(separator: "\n")
            #expect(table.count == 3 && table[2].contains("lxc-hypervisor-"))

            try await host.nic("secure", name, "1", "--closed").expectSuccess()
            try await host.nic("secure", name, "0", "--closed").expectFailure(naming: ["NIC 0", name])
            try await host.nic("unplug", name, "1").expectSuccess()
            try await host.nic("unplug", name, "1").expectSuccess()
            #expect(host.ports.count == 1)
            try await host.container("destroy", name).expectSuccess()
            #expect(host.ports.isEmpty)
        }
    }

    @Test func wrongValuesAreNamed() async throws {
        let cases: [([String], String)] = [
            (["--network", "vlan://5000"], "vlan://5000"), (["--rule", "tcp;22"], "tcp;22"),
            (["--traffic", "guests"], "guests"), (["--mac", "01:00:5e:00:00:01"], "01:00:5e:00:00:01"),
        ]
        try await ContainerHost.run { host in
            try await host.container("create", name, "--template", host.template).expectSuccess()
            for (options, text) in cases {
                try await host.nic(["plug", name, "--bridge", host.bridge] + options).expectFailure(naming: [text])
            }
            try await host.nic("plug", name, "--bridge", "no-such-bridge").expectFailure(naming: ["no-such-bridge"])
            #expect(try await host.nic("list", name, "--json").json() == .list([]))
        }
    }
}

extension ContainerHost {
    fileprivate func nic(_ arguments: String...) async throws -> Outcome { try await nic(arguments) }

    fileprivate func nic(_ arguments: [String]) async throws -> Outcome {
        try await Lxcctl.run(["nic"] + arguments + ["--config", config])
    }
}

extension Outcome {
    fileprivate func expectSuccess(_ location: SourceLocation = #_sourceLocation) {
        #expect(status == 0, "\(stderr)", sourceLocation: location)
    }
}
