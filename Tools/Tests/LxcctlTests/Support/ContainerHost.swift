// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// A host for one test: stores in a scratch directory, a private libvirtd unless the system's answers, a busybox
/// template, a bridge of its own. Everything goes with ``run(_:)``'s end.
struct ContainerHost: Sendable {
    let scratch: Scratch
    let config: String
    let template: String
    let bridge: String
    /// A network among those kept for tests (RFC 2544), so that it is nobody's.
    let network: String

    /// Says who it is, takes its address, then answers each line of its console; ends when asked.
    ///
    /// Busybox forgets what it has of a line when the time of `read` is up, so that time is long; a signal ends it anyhow.
    private static let initializer = """
        #!/bin/busybox sh
        trap 'echo asked to end; exit 0' TERM
        echo "hello from $(/bin/busybox hostname), map $(/bin/busybox tr -s ' ' </proc/self/uid_map)"
        [ -n "$ADDRESS" ] && /bin/busybox ip address add $ADDRESS/24 dev eth0 && /bin/busybox ip link set eth0 up
        [ -n "$BRIEF" ] && exit 0
        while true; do if read -t 60 line; then echo "got $line"; fi; done

        """

    /// Runs `body` on a new host and takes everything away, also when it fails.
    static func run(_ body: (ContainerHost) async throws -> Void) async throws {
        let host = try await ContainerHost()
        do {
            try await body(host)
        } catch {
            await host.remove()
            throw error
        }
        await host.remove()
    }

    private init() async throws {
        scratch = try Scratch()
        let primary = try scratch.makeDirectory("primary")
        let secondary = try scratch.makeDirectory("secondary")
        config = try scratch.write(
            """
            local.storage.path=\(primary)
            lxcctl.secondary.storage=\(secondary)
            lxcctl.libvirtd.directory=\(scratch["libvirt"])
            lxcctl.console.directory=\(scratch["console"])

            """, to: "agent.properties")
        for folder in ["bin", "dev", "etc", "proc", "run", "sbin", "sys", "tmp"] {
            try scratch.makeDirectory("root/\(folder)")
        }
        try FileManager.default.copyItem(atPath: "/bin/busybox", toPath: scratch["root/bin/busybox"])
        let initializer = try scratch.write(Self.initializer, to: "root/sbin/init")
        try await LxcctlTests.host("/bin/chmod", "755", initializer)
        let archive = try await scratch.pack("root", to: "template.tar.gz")
        let options = ["--config", config]
        let register = ["template", "register", archive, "--account", "1", "--id", "10", "--name", "busybox"] + options
        try #require(try await Lxcctl.run(register).status == 0)
        template = try await Lxcctl.run(["template", "install", "1/10"] + options).line()

        bridge = "lxcc\(UInt32.random(in: 0 ... .max))"
        network = "198.\(Int.random(in: 18...19)).\(Int.random(in: 0...255))"
        try await LxcctlTests.host("/sbin/ip", "link", "add", bridge, "type", "bridge")
        try await LxcctlTests.host("/sbin/ip", "address", "add", "\(network).1/24", "dev", bridge)
        try await LxcctlTests.host("/sbin/ip", "link", "set", bridge, "up")
    }

    /// The path of the directory with roots.
    var primary: String { scratch["primary"] }

    /// The UUIDs and whatever else is in the store beside its control directory.
    var roots: [String] { scratch.list("primary").filter { $0 != ".lxc" } }

    /// The bridge's ports.
    var ports: [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: "/sys/class/net/\(bridge)/brif")) ?? []
    }

    /// `lxcctl container …` with this host's configuration.
    func container(_ arguments: String...) async throws -> Outcome { try await container(arguments) }

    func container(_ arguments: [String]) async throws -> Outcome {
        try await Lxcctl.run(withConfiguration(arguments))
    }

    /// `lxcctl …` with this host's configuration.
    func lxcctl(_ arguments: String...) async throws -> Outcome {
        try await Lxcctl.run(arguments + ["--config", config])
    }

    /// The command line of `lxcctl container …`, for what is not run to its end at once.
    func arguments(_ arguments: String...) -> [String] { withConfiguration(arguments) }

    /// Options come before the arguments: what follows `--` is a container's.
    private func withConfiguration(_ arguments: [String]) -> [String] {
        ["container"] + arguments.prefix(1) + ["--config", config] + arguments.dropFirst()
    }

    /// The containers by name.
    func containers() async throws -> [String] {
        let guests = try await container("list", "--json").json()
        guard case .list(let guests) = guests else { return [] }
        return guests.compactMap { $0["name"].text }
    }

    /// Whether the private daemon answers still; it ends ten seconds after its last work.
    private var isDaemonThere: Bool { !Self.processes(mentioning: scratch["libvirt"]).isEmpty }

    static func processes(mentioning text: String) -> [String] {
        let all = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return all.filter { pid in
            guard Int32(pid) != nil, let line = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") else {
                return false
            }
            return String(decoding: line, as: UTF8.self).contains(text)
        }
    }

    private func remove() async {
        // Only this test's containers: where the system's libvirtd answers there are others.
        for name in (try? await containers()) ?? [] where name.hasPrefix("lxcctl-test-") {
            guard let root = try? await container("show", name, "--json").json()["root"].text else { continue }
            if root.hasPrefix(scratch.path) { _ = try? await container("destroy", name) }
        }
        #expect(await eventually { !isDaemonThere }, "the private libvirtd ends by itself")
        _ = try? await LxcctlTests.host("/sbin/ip", "link", "delete", bridge)
    }
}
