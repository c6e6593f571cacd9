// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCCore
import LXCHypervisor
import TestSupport
import Testing

/// How many processes real containers have, and that none of them is beyond reach.
@Suite(.tags(.host), .host(.root, .libvirtd, .busybox), .serialized, .limited)
struct ProcessLimitTests {
    /// Makes as many processes as it can, from its first moment on.
    private static let bomb = """
        #!/bin/busybox sh
        trap 'exit 0' TERM
        # Process 1 itself makes one other, and stays.
        ( for child in 1 2 3 4; do ( while :; do /bin/busybox sleep 1000 & done ) & done ) 2>/dev/null &
        while :; do read -t 60 line; done
        """

    @Test(arguments: [false, true])
    func aForkBombStaysInItsContainer(privileged: Bool) async throws {
        try await TestHost.run(Self.bomb) { host in
            let template = try await host.install()
            var specification = ContainerSpecification(
                name: try GuestName("bomb\(UInt32.random(in: 0 ... .max))"), template: template.id,
                privilege: privileged ? .privileged : .isolated)
            specification.limits.processes = 60
            let container = try await host.lxc.createContainer(specification)
            try await container.start()
            #expect(try await container.limits().processes == 60)
            // It is under its limit from its first moment on.
            #expect(try await container.statistics().processLimit == 60)
            #expect(try await eventually { try await container.statistics().processes ?? 0 > 50 })
            for _ in 0..<5 {
                #expect(try await container.statistics().processes ?? 0 <= 60)
                try await Task.sleep(for: .milliseconds(100))
            }
            // There is room for who looks after it.
            let command = GuestCommand(["/bin/busybox", "true"])
            #expect(try await container.run(command, timeout: .seconds(60)).status == .exited(0))
            try await container.setLimits(.init(processes: .limit(100)))
            #expect(try await container.limits().processes == 100)
            try await container.delete()
            #expect(controlGroups(of: "-\(container.name).libvirt-lxc").isEmpty)
        }
    }

    @Test func theLimitIsKeptAndHasADefault() async throws {
        try await TestHost.run { host in
            // The groups of all daemons of this host are in one place.
            let container = try await host.startedContainer("kept\(UInt32.random(in: 0 ... .max))")
            #expect(try await container.limits().processes == GuestLimits.standardProcesses)
            try await container.setLimits(.init(processes: .unlimited))
            #expect(try await container.limits().processes == nil)
            try await container.setLimits(.init(processes: .limit(300)))
            _ = try await container.reboot(within: .seconds(60))
            #expect(try await container.limits().processes == 300, "the next start has it too")
            try await container.stop(within: .seconds(60))
            #expect(controlGroups(of: "-\(container.name).libvirt-lxc").isEmpty)
            #expect(try await container.limits().processes == 300)
            try await container.setLimits(.init(processes: .limit(200)))
            #expect(try await container.limits().processes == 200)
        }
    }

    /// What a privileged container mounts for itself, and stops.
    @Test func whatHasSuspendedItselfIsDestroyed() async throws {
        try await TestHost.run { host in
            let container = try await host.startedContainer(privileged: true)
            let script = """
                busybox mkdir -p /tmp/freezer; busybox mount -t cgroup -o freezer none /tmp/freezer || exit 9
                busybox mkdir -p /tmp/freezer/lxc-test-outer/inner; echo 1 >/tmp/freezer/lxc-test-outer/inner/cgroup.procs
                echo FROZEN >/tmp/freezer/lxc-test-outer/inner/freezer.state
                echo FROZEN >/tmp/freezer/lxc-test-outer/freezer.state
                """
            let result = try await container.run(
                GuestCommand(["/bin/busybox", "sh", "-c", script]), timeout: .seconds(60))
            guard result.status == .exited(0) else { return }  // A host with control groups of version 2 alone.
            let error = await #expect(throws: LXCError.self) {
                try await container.run(GuestCommand(["/bin/busybox", "true"]), timeout: .seconds(20))
            }
            #expect(error?.code == .invalidState)
            let clock = ContinuousClock()
            let start = clock.now
            try await container.delete()
            #expect(clock.now - start < .seconds(30))
            for group in controlGroups(of: "lxc-test-outer").reversed() {
                rmdir("\(group)/inner")
                rmdir(group)
            }
        }
    }

    @Test func whatIsSuspendedIsDestroyed() async throws {
        try await TestHost.run { host in
            let container = try await host.startedContainer()
            try await container.suspend()
            try await container.delete()
            #expect(try await host.lxc.containers().isEmpty)
        }
    }
}
