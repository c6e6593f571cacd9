// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import HypervisorDriver
import LXCCore
import Libvirt
import Logging
import TestSupport
import Testing

@Suite(.tags(.host), .serialized, .limited, .host(.root, .libvirtd, .busybox)) struct PrivateLibvirtdTests {
    @Test func startsAnswersAndLeavesNothing() async throws {
        let mounts = try hostMounts()
        let daemon = try await PrivateLibvirtd.start(logger: logger)
        var status = stat()
        #expect(lstat(daemon.directory, &status) == 0)
        #expect(status.st_mode & 0o777 == 0o700)
        let connection = try await LibvirtConnection.open(daemon.uri(for: .lxc), logger: logger)
        #expect(try await connection.libraryVersion() >= LibvirtVersion(rawValue: 9_000_000))
        #expect(try await connection.capabilitiesXML().contains("<os_type>exe</os_type>"))
        #expect(try hostMounts() == mounts, "what is mounted for the daemon must not be seen outside")
        let processes = RunningProcess.tree(try #require(daemon.process))
        #expect(processes.count >= 2)
        await connection.close()

        await daemon.stop()
        await daemon.stop()
        #expect(processes.filter(\.isAlive).isEmpty)
        #expect(access(daemon.directory, F_OK) != 0)
        #expect(try hostMounts() == mounts)
    }

    @Test func droppingTheLastReferenceStopsIt() async throws {
        var daemon: PrivateLibvirtd? = try await PrivateLibvirtd.start(logger: logger)
        let directory = try #require(daemon?.directory)
        let processes = RunningProcess.tree(try #require(daemon?.process))
        daemon = nil
        #expect(await eventually { processes.allSatisfy { !$0.isAlive } && access(directory, F_OK) != 0 })
    }

    @Test func stoppingEndsItsContainersAndCleansUp() async throws {
        let bridge = "tb\(UInt32.random(in: 0...999_999))"
        try run("/sbin/ip", "link", "add", bridge, "type", "bridge")
        defer { try? run("/sbin/ip", "link", "del", bridge) }
        let port = "tv\(UInt32.random(in: 0...999_999))"
        let container = try BusyboxContainer(
            "while true; do sleep 100; done",
            interface: "<interface type='bridge'><source bridge='\(bridge)'/><target dev='\(port)'/></interface>")
        let daemon = try await PrivateLibvirtd.start(logger: logger)
        let connection = try await LibvirtConnection.open(daemon.uri(for: .lxc), logger: logger)
        try await connection.create(xml: container.document)
        #expect(!controlGroups(of: container.name).isEmpty)
        #expect(if_nametoindex(port) != 0)
        let processes = RunningProcess.tree(try #require(daemon.process))
        #expect(processes.count >= 4)
        await connection.close()
        await daemon.stop()
        #expect(processes.filter(\.isAlive).isEmpty)
        #expect(controlGroups(of: container.name).isEmpty)
        #expect(if_nametoindex(port) == 0)
        #expect(access(daemon.directory, F_OK) != 0)
    }

    @Test func twoDaemonsSeeOnlyTheirOwnContainers() async throws {
        let container = try BusyboxContainer("while true; do sleep 100; done")
        let first = try await PrivateLibvirtd.start(logger: logger)
        let second = try await PrivateLibvirtd.start(logger: logger)
        let one = try await LibvirtConnection.open(first.uri(for: .lxc), logger: logger)
        let other = try await LibvirtConnection.open(second.uri(for: .lxc), logger: logger)
        let mine = try await one.create(xml: container.document)
        #expect(try await other.domains().isEmpty)
        // The same name may run beside it: nothing of the two meets.
        let twin = try await other.create(xml: container.document)
        #expect(mine.id != twin.id)
        await second.stop()
        #expect(try await one.status(of: container.name).state == .running)
        try await one.destroy(container.name)
        await first.stop()
        #expect(controlGroups(of: container.name).isEmpty)
    }

    @Test func aKilledOwnerTakesEverythingWithIt() async throws {
        let container = try BusyboxContainer(
            "(trap '' TERM; while true; do sleep 1; done) & while true; do sleep 1; done")
        let directory = freshDirectory()
        let owner = try await OwnerProcess(directory: directory, container: container)
        let processes = RunningProcess.tree(owner.process.processIdentifier)
        #expect(processes.count >= 5)
        #expect(!controlGroups(of: container.name).isEmpty)
        owner.kill()
        #expect(await eventually { processes.allSatisfy { !$0.isAlive } })
        #expect(await eventually { access(directory, F_OK) != 0 })
        #expect(controlGroups(of: container.name).isEmpty)
    }

    @Test func virtualMachinesGetTheirLogDaemon() async throws {
        let configuration = PrivateLibvirtd.Configuration(drivers: [.lxc, .kvm])
        let daemon = try await PrivateLibvirtd.start(configuration, logger: logger)
        let connection = try await LibvirtConnection.open(daemon.uri(for: .kvm), logger: logger)
        #expect(try await connection.domains().isEmpty)
        await connection.close()
        let programs = RunningProcess.tree(try #require(daemon.process)).compactMap {
            try? String(contentsOfFile: "/proc/\($0.pid)/comm", encoding: .utf8)
        }
        #expect(programs.contains("virtlogd\n"))
        await daemon.stop()
        #expect(access(daemon.directory, F_OK) != 0)
    }

    @Test func theEndpointIsPrivateWhereNoSystemDaemonAnswers() async throws {
        let isThere = try await LibvirtEndpoint.systemDaemonAnswers(for: .lxc, logger: logger)
        let endpoint = try await LibvirtEndpoint.resolve(
            for: .lxc, otherwise: PrivateLibvirtd.Configuration(), logger: logger)
        #expect((endpoint.privateDaemon == nil) == isThere)
        let connection = try await LibvirtConnection.open(endpoint.uri, logger: logger)
        #expect(try await connection.capabilitiesXML().contains("<os_type>exe</os_type>"))
        await connection.close()
        await endpoint.privateDaemon?.stop()
    }

    @Test func aDaemonThatEndsAtOnceIsToldWithItsLastWords() async throws {
        let directory = freshDirectory()
        // libvirtd cannot bind its socket where a directory is.
        try FileManager.default.createDirectory(
            atPath: directory + "/run/libvirt-sock/in-the-way", withIntermediateDirectories: true)
        chmod(directory, 0o700)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let configuration = PrivateLibvirtd.Configuration(
            directory: directory, lifetime: .lingering(idleTimeout: .seconds(1)))
        let error = await #expect(throws: LXCError.self) {
            _ = try await PrivateLibvirtd.start(configuration, logger: logger)
        }
        #expect(error?.code == .unavailable)
        #expect(error?.message.contains("libvirt-sock") == true, "\(String(describing: error))")
    }

    @Test func aSecondDaemonInADirectoryIsRefusedAndHarmsNothing() async throws {
        let configuration = PrivateLibvirtd.Configuration(directory: freshDirectory())
        let first = try await PrivateLibvirtd.start(configuration, logger: logger)
        let error = await #expect(throws: LXCError.self) {
            try await PrivateLibvirtd.start(configuration, logger: logger).stop()
        }
        #expect(error?.code == .inUse)
        #expect(access(first.directory, F_OK) == 0)
        let connection = try await LibvirtConnection.open(first.uri(for: .lxc), logger: logger)
        #expect(try await connection.domains().isEmpty)
        await connection.close()
        await first.stop()
        #expect(access(first.directory, F_OK) != 0)
    }

    @Test func cancellingTheStartLeavesNothing() async throws {
        let directory = freshDirectory()
        let task = Task {
            try await PrivateLibvirtd.start(PrivateLibvirtd.Configuration(directory: directory), logger: logger)
        }
        #expect(await eventually { pidOfDaemon(in: directory) != nil })
        let pid = try #require(pidOfDaemon(in: directory).flatMap { RunningProcess($0) })
        task.cancel()
        // The start may have been over already; then the daemon is ours to stop.
        await (try? task.value)?.stop()
        #expect(!pid.isAlive)
        #expect(access(directory, F_OK) != 0)
    }
}

@Suite(.tags(.host), .limited, .host(.root)) struct PrivateLibvirtdDirectoryTests {
    @Test(arguments: [
        "relative", "/", "", "/run/../etc", "/run//x", "/run/libvirt/x", "/var/lib/libvirt", "/run/x\u{0}y",
        "/run/a\nb",
        "/run/" + String(repeating: "x", count: 100),
    ])
    func directoriesThatCannotWorkAreRefused(path: String) async throws {
        let error = await #expect(throws: LXCError.self) {
            _ = try await PrivateLibvirtd.start(PrivateLibvirtd.Configuration(directory: path), logger: logger)
        }
        #expect(error?.code == .invalidArgument)
    }

    @Test func aDirectoryOthersCanWriteToIsUnsafe() async throws {
        let path = freshDirectory()
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: path) }
        chmod(path, 0o777)
        let error = await #expect(throws: LXCError.self) {
            _ = try await PrivateLibvirtd.start(PrivateLibvirtd.Configuration(directory: path), logger: logger)
        }
        #expect(error?.code == .unsafe)
    }

    @Test func aDirectoryBehindALinkIsUnsafe() async throws {
        let path = freshDirectory()
        try FileManager.default.createDirectory(atPath: "/run/lxc-hypervisor", withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: "/etc")
        defer { unlink(path) }
        let error = await #expect(throws: LXCError.self) {
            _ = try await PrivateLibvirtd.start(PrivateLibvirtd.Configuration(directory: path), logger: logger)
        }
        #expect(error?.code == .unsafe)
        #expect(access("/etc/libvirtd.conf", F_OK) != 0)
    }

    @Test func aDirectoryThatHoldsSomethingElseIsNotRemoved() async throws {
        let path = freshDirectory()
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: path) }
        chmod(path, 0o700)
        try "precious".write(toFile: path + "/file", atomically: true, encoding: .utf8)
        let error = await #expect(throws: LXCError.self) {
            try await PrivateLibvirtd.start(PrivateLibvirtd.Configuration(directory: path), logger: logger).stop()
        }
        #expect(error?.code == .invalidArgument)
        #expect(try FileManager.default.contentsOfDirectory(atPath: path) == ["file"])
    }

    @Test func noDriverIsRefused() async throws {
        let error = await #expect(throws: LXCError.self) {
            _ = try await PrivateLibvirtd.start(PrivateLibvirtd.Configuration(drivers: []), logger: logger)
        }
        #expect(error?.code == .invalidArgument)
    }
}

/// What control groups a private daemon sees, on each kind of host.
struct PrivateLibvirtdCgroupTests {
    @Test func aHybridHostHidesTheUnifiedHierarchy() {
        let groups = PrivateLibvirtdCgroups(
            mountinfo: """
                31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
                32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:7 - cgroup cgroup rw,cpu,cpuacct
                40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
                41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
                """)
        #expect(groups.hidden == ["/sys/fs/cgroup/unified"])
        #expect(groups.used == ["/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/systemd"])
    }

    @Test func aUnifiedHostHidesNothing() {
        let groups = PrivateLibvirtdCgroups(
            mountinfo: "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate")
        #expect(groups.hidden.isEmpty)
        #expect(groups.used == ["/sys/fs/cgroup"])
    }

    @Test func aVersion1HierarchyWithoutControllersIsNoHybrid() {
        let groups = PrivateLibvirtdCgroups(
            mountinfo: """
                30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw
                40 31 0:37 / /run/a\\040b rw - cgroup cgroup rw,name=systemd
                41 31 0:37 /part /elsewhere rw - cgroup cgroup rw,memory
                nonsense
                """)
        #expect(groups.hidden.isEmpty)
        #expect(groups.used.sorted() == ["/run/a b", "/sys/fs/cgroup"])
    }
}

/// The process id in a daemon's pid file.
func pidOfDaemon(in directory: String) -> Int32? {
    let text = try? String(contentsOfFile: directory + "/run/libvirtd.pid", encoding: .utf8)
    return text.flatMap { Int32($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
}
