// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCCore
import LXCHypervisor
import TestSupport
import Testing

/// What real containers see of control groups, and where they can go.
@Suite(.tags(.host), .host(.root, .libvirtd, .busybox), .serialized, .limited)
struct ControlGroupViewTests {
    @Test(arguments: [false, true])
    func aContainerSeesNoOthers(privileged: Bool) async throws {
        try await TestHost.run { host in
            let other = try await host.startedContainer("neighbour", privileged: privileged)
            let container = try await host.lxc.createContainer(
                .init(
                    name: GuestName("curious"), template: #require(try await other.template(on: host)),
                    privilege: privileged ? .privileged : .isolated))
            try await container.start()
            let look =
                "busybox find /sys/fs/cgroup | busybox grep -c neighbour; busybox umount -l /sys/fs/cgroup; "
                + "busybox find /sys/fs/cgroup | busybox grep -c neighbour; busybox cat /proc/1/comm"
            let seen = try await container.run(GuestCommand(["/bin/busybox", "sh", "-c", look])).text
            #expect(seen == "0\n0\ninit\n")
            let document = try await container.domain()
            #expect(document.os.initPath == "/sbin/init" && document.filesystems.count == 1)
            #expect(try await container.stop(within: .seconds(60)) == .graceful)
            try await container.delete()
        }
    }

    /// The program that process 1 began as goes with the container, also with one that is forgotten at its end.
    @Test func nothingStaysOfAForgottenContainer() async throws {
        try await TestHost.run { host in
            let template = try await host.install()
            let specification = ContainerSpecification(
                name: try GuestName("fleeting"), template: template.id, privilege: .privileged)
            let program = "/var/lib/lxc-hypervisor/init/\(specification.uuid.uuidString.lowercased())"
            let container = try await host.lxc.startTransientContainer(specification)
            #expect(FileManager.default.fileExists(atPath: program))
            _ = try await container.stop(within: .seconds(60))
            #expect(!FileManager.default.fileExists(atPath: program))
        }
    }

    /// A group made in the host's tree would be outside of the container's limits.
    @Test func aPrivilegedContainerStaysUnderItsLimits() async throws {
        try await TestHost.run { host in
            let template = try await host.install()
            var specification = ContainerSpecification(
                name: try GuestName("greedy"), template: template.id, privilege: .privileged)
            specification.limits.memory = .mebibytes(48)
            specification.limits.memoryAndSwap = .mebibytes(48)
            let container = try await host.lxc.createContainer(specification)
            try await container.start()
            let script = """
                busybox mkdir -p /sys/fs/cgroup/memory/own 2>/dev/null
                echo $$ 2>/dev/null >/sys/fs/cgroup/memory/own/cgroup.procs
                busybox mkdir -p /tmp/memory; busybox mount -t cgroup -o memory none /tmp/memory 2>/dev/null
                busybox mkdir -p /tmp/memory/own; echo $$ 2>/dev/null >/tmp/memory/own/cgroup.procs
                busybox dd if=/dev/zero of=/dev/null bs=200M count=1
                """
            let exit = try await container.run(GuestCommand(["/bin/busybox", "sh", "-c", script])).status
            #expect(exit != .exited(0), "more than its limit")
            #expect(try await eventually { try await (container.statistics().outOfMemoryKills ?? 0) > 0 })
        }
    }
}

extension Container {
    fileprivate func template(on host: TestHost) async throws -> TemplateID? {
        try await domain().containerMetadata()?.template
    }
}
