// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCCore
import LXCHypervisor
import TestSupport
import Testing

/// Limits and counters of real containers.
@Suite(.tags(.host), .host(.root, .libvirtd, .busybox), .serialized, .limited)
struct LimitTests {
    /// A disk of the host.
    private static let disk: String? = {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/sys/block")) ?? []
        let disk = names.sorted().first { name in
            ["vd", "sd", "nvme", "xvd"].contains { name.hasPrefix($0) }
                && FileManager.default.fileExists(atPath: "/dev/\(name)")
        }
        return disk.map { "/dev/\($0)" }
    }()

    @Test func limitsOfTheSpecificationAreInForce() async throws {
        try await TestHost.run { host in
            let template = try await host.install()
            var specification = ContainerSpecification(name: try GuestName("limited"), template: template.id)
            specification.limits.memory = .mebibytes(64)
            specification.limits.softMemory = .mebibytes(32)
            specification.limits.memoryAndSwap = .mebibytes(96)
            specification.limits.cpuShares = 300
            specification.limits.cpuPeriod = .milliseconds(20)
            specification.limits.cpuQuota = .milliseconds(5)
            specification.limits.cpuSet = try CPUSet([0])
            specification.limits.blockIOWeight = 200
            specification.limits.devices =
                Self.disk.map { [.init(path: $0, readBytesPerSecond: ByteCount(1_000_000))] } ?? []
            let container = try await host.lxc.createContainer(specification)
            try await container.start()
            let limits = try await container.limits()
            #expect(limits.memory == .mebibytes(64) && limits.softMemory == .mebibytes(32))
            #expect(limits.memoryAndSwap == .mebibytes(96))
            #expect(limits.cpuShares == 300)
            #expect(limits.cpuPeriod == .milliseconds(20) && limits.cpuQuota == .milliseconds(5))
            #expect(try limits.cpuSet == CPUSet([0]))
            #expect(limits.blockIOWeight == 200)
            #expect(limits.devices == specification.limits.devices)
            // The kernel's own words.
            #expect(try kernel(container, "cpu.cfs_quota_us", "cpu.max").hasPrefix("5000"))
            #expect(try kernel(container, "cpuset.cpus", "cpuset.cpus") == "0")
            try await container.delete()
        }
    }

    @Test func limitsOfAStoppedContainerAreThoseOfItsNextStart() async throws {
        try await TestHost.run { host in
            let template = try await host.install()
            var specification = ContainerSpecification(name: try GuestName("stopped"), template: template.id)
            specification.limits.memory = .mebibytes(64)
            let container = try await host.lxc.createContainer(specification)
            #expect(try await container.limits() == GuestLimits(memory: .mebibytes(64), processes: 4096))
            let change = try GuestLimits.Change(
                memory: .mebibytes(48), cpuShares: 300, cpuPeriod: .milliseconds(20),
                cpuQuota: .limit(.milliseconds(5)),
                cpuSet: CPUSet([0]), processes: .limit(500))
            let changed = change.applied(to: GuestLimits())
            try await container.setLimits(change)
            #expect(try await container.limits() == changed)
            try await container.start()
            var running = try await container.limits()
            running.blockIOWeight = nil  // The kernel's own.
            #expect(running == changed)
            try await container.delete()
        }
    }

    @Test func limitsAreChangedWhileItRunsAndStay() async throws {
        try await TestHost.run { host in
            let container = try await host.started("changed")
            let before = try await container.limits()
            #expect(before.memory == .mebibytes(512) && before.cpuQuota == nil)
            let devices = Self.disk.map { disk in
                [
                    GuestLimits.Change.Device(
                        path: disk, writeBytesPerSecond: .limit(ByteCount(2_000_000)),
                        readOperationsPerSecond: .limit(100))
                ]
            }
            let change = try GuestLimits.Change(
                memory: .mebibytes(128), softMemory: .mebibytes(64), memoryAndSwap: .mebibytes(256), cpuShares: 512,
                cpuPeriod: .milliseconds(50), cpuQuota: .limit(.milliseconds(25)), cpuSet: CPUSet([0]),
                blockIOWeight: 300, processes: .limit(400), devices: devices ?? [])
            try await container.setLimits(change)
            #expect(try await container.limits() == change.applied(to: GuestLimits()))
            #expect(try kernel(container, "memory.limit_in_bytes", "memory.max") == "134217728")
            #expect(try await container.statistics().memoryLimit == .mebibytes(128))
            // Growing beyond the sum, and shrinking below it, in one change each.
            try await container.setLimits(.init(memory: .mebibytes(300), memoryAndSwap: .mebibytes(400)))
            try await container.setLimits(.init(memory: .mebibytes(100), memoryAndSwap: .mebibytes(150)))
            try await container.setLimits(.init(cpuQuota: .unlimited))
            let after = try await container.limits()
            #expect(after.memory == .mebibytes(100) && after.memoryAndSwap == .mebibytes(150))
            #expect(after.cpuQuota == nil && after.cpuShares == 512)
            _ = try await container.reboot(within: .seconds(60))
            #expect(try await container.limits() == after, "the next start has them too")
        }
    }

    @Test func whatCannotBeIsRefusedAndChangesNothing() async throws {
        try await TestHost.run { host in
            let container = try await host.started("refusing")
            let before = try await container.limits()
            let rate = GuestLimits.Change.Setting.limit(ByteCount(1))
            let impossible: [GuestLimits.Change] = [
                .init(memory: .kibibytes(1)), .init(memory: .mebibytes(64), memoryAndSwap: .mebibytes(32)),
                .init(memory: .mebibytes(64), cpuQuota: .limit(.microseconds(10))),
                .init(cpuSet: try CPUSet([4000])), .init(memory: .mebibytes(64), blockIOWeight: 5),
                .init(memory: .mebibytes(64), devices: [.init(path: "/etc/passwd", readBytesPerSecond: rate)]),
                .init(devices: [.init(path: "/dev/no-such-disk", readBytesPerSecond: rate)]),
            ]
            for limits in impossible {
                _ = await #expect(throws: LXCError.self, "\(limits)") { try await container.setLimits(limits) }
            }
            #expect(try await container.limits() == before)
        }
    }

    @Test func memoryThatIsTooMuchIsCounted() async throws {
        // It fills memory until the kernel kills what does, and goes on.
        let hungry = """
            #!/bin/busybox sh
            trap 'exit 0' TERM
            /bin/busybox dd if=/dev/zero of=/dev/null bs=200M count=1
            while true; do read -t 60 line; done
            """
        try await TestHost.run(hungry) { host in
            let template = try await host.install()
            var specification = ContainerSpecification(name: try GuestName("hungry"), template: template.id)
            specification.limits.memory = .mebibytes(32)
            specification.limits.memoryAndSwap = .mebibytes(32)
            let container = try await host.lxc.createContainer(specification)
            try await container.start()
            #expect(try await eventually { try await (container.statistics().outOfMemoryKills ?? 0) > 0 })
            #expect(try await container.info().state == .running)
        }
    }

    @Test func whatAllContainersUseIsToldInOneCall() async throws {
        let busy = """
            #!/bin/busybox sh
            trap 'exit 0' TERM
            /bin/busybox sleep 1000 &
            /bin/busybox sleep 1000 &
            /bin/busybox dd if=/dev/zero of=/tmp/file bs=64k count=16
            while true; do read -t 60 line; done
            """
        try await TestHost.run(busy) { host in
            let template = try await host.install()
            var names: [GuestName] = []
            for index in 0..<3 {
                let name = try GuestName("counted\(index)")
                let container = try await host.lxc.createContainer(.init(name: name, template: template.id))
                if index < 2 {
                    try await container.start()
                    names.append(name)
                }
            }
            #expect(
                try await eventually {
                    try await host.lxc.statistics().values.allSatisfy { $0.processes == 3 && $0.memoryCache != nil }
                })
            let all = try await host.lxc.statistics()
            #expect(all.keys.sorted() == names, "the one that does not run uses nothing")
            for statistics in all.values {
                #expect(statistics.cpuTime > .zero && statistics.memoryUsed > ByteCount(0))
                #expect(statistics.outOfMemoryKills == 0)
                #expect(statistics.blockIO != nil)
            }
            let later = try await host.lxc.statistics()
            let percent = try #require(
                names.first.flatMap { name in
                    all[name].flatMap { later[name]?.cpuPercent(since: $0, hostCPUs: 2) }
                })
            #expect((0...100).contains(percent))
        }
    }

    /// What a container's control group says, whichever version there is.
    private func kernel(_ container: Container, _ v1: String, _ v2: String) throws -> String {
        let files = controlGroups(of: container.name.description).flatMap { ["\($0)/\(v1)", "\($0)/\(v2)"] }
        let file = try #require(files.first { FileManager.default.fileExists(atPath: $0) })
        return try String(contentsOfFile: file, encoding: .utf8)
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
