import Foundation
import LXCHypervisor
import TestSupport
import Testing

/// A distribution as it is, with systemd as process 1.
///
/// Unprivileged, systemd needs a hierarchy of control groups it may write to, which libvirt gives it where version 2 is
/// used alone; the virtual host checks that.
@Suite(.host(.root, .libvirtd, .debootstrap), .timeLimit(.minutes(15)))
struct SystemdTests {
    @Test func aPrivilegedDebianBootsAndStops() async throws {
        try await TestHost.run(archive: DebianArchive.path()) { host in
            let template = try await host.install()
            let specification = ContainerSpecification(
                name: try ContainerName("debian"), template: template.id, privilege: .privileged)
            let container = try await host.lxc.createContainer(specification)
            try await container.start()
            #expect(try await container.document().containerMetadata()?.initSignal == "SIGRTMIN+3")

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
    static func path() async throws -> String {
        try await BlockingPool(threads: 1).run { _ in try make() }
    }

    private static func make() throws -> String {
        let caches = try FileManager.default.url(
            for: .cachesDirectory, in: .userDomainMask, appropriateFor: nil, create: true)
        let folder = caches.appending(path: "lxc-hypervisor/tests").path
        let archive = "\(folder)/debian-12-systemd.tar"
        if FileManager.default.fileExists(atPath: archive) { return archive }
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let working = "/var/tmp/lxc-debian-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: working, withIntermediateDirectories: false)
        // rm and not FileManager: a root has devices, and a debootstrap that failed leaves /proc mounted there.
        defer { _ = try? Command.run("/bin/rm", "-rf", "--one-file-system", working) }
        try Command.run(
            "/usr/sbin/debootstrap", "--variant=minbase", "--include=systemd-sysv,dbus,libpam-systemd", "bookworm",
            "\(working)/root")
        let tar = ["--numeric-owner", "--xattrs", "--xattrs-include=*", "--acls", "-C", "\(working)/root", "."]
        try Command.run("/bin/tar", ["-cf", "\(working)/archive"] + tar)
        try Command.run("/bin/mv", "\(working)/archive", archive)
        return archive
    }
}
