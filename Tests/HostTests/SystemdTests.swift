// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCCore
import LXCHypervisor
import TestSupport
import Testing

/// A distribution as it is, with systemd as process 1.
///
/// Unprivileged, systemd needs a hierarchy of control groups it may write to, which libvirt gives it where version 2 is
/// used alone; the virtual host checks that.
@Suite(.tags(.host, .slow), .host(.root, .libvirtd, .debootstrap), .limited)
struct SystemdTests {
    @Test func aPrivilegedDebianBootsAndStops() async throws {
        try await TestHost.run(archive: DebianArchive.path()) { host in
            let template = try await host.install()
            let specification = ContainerSpecification(
                name: try GuestName("debian"), template: template.id, privilege: .privileged)
            let container = try await host.lxc.createContainer(specification)
            try await container.start()
            #expect(try await container.domain().containerMetadata()?.initSignal == "SIGRTMIN+3")

            let hasBooted = try await eventually(within: .seconds(300)) {
                // It fails until the bus is there, and then waits for the end of the boot itself.
                let state = try await container.run(GuestCommand(["systemctl", "is-system-running", "--wait"])).text
                return state == "running\n" || state == "degraded\n"
            }
            #expect(hasBooted)
            let target = try await container.run(GuestCommand(["systemctl", "is-active", "default.target"]))
            #expect(target.text == "active\n")
            #expect(try await container.run(GuestCommand(["cat", "/proc/1/comm"])).text == "systemd\n")
            #expect(try await container.run(GuestCommand(["hostname"])).text == "debian\n")
            #expect(try await container.statistics().processes ?? 0 > 3)

            #expect(try await container.stop(within: .seconds(60)) == .graceful)
            try await container.start()
            #expect(try await container.reboot(within: .seconds(60)) == .graceful)
        }
    }
}

/// The root of a small Debian with systemd as a tar archive, made once and kept for the next run.
enum DebianArchive {
    private static let script = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../Scripts/debian-root").standardized.path

    static func path() async throws -> String {
        try await BlockingPool(threads: 1).run { _ in String(try Command.run(script).dropLast()) }
    }
}
