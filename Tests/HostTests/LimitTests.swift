import Foundation
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
            specification.memory = .mebibytes(64)
            specification.softMemory = .mebibytes(32)
            specification.memoryAndSwap = .mebibytes(96)
            specification.cpu = .init(count: 1, shares: 300, period: 20_000, quota: 5_000, set: "0")
            specification.blockIOWeight = 200
            specification.blockIODevices = Self.disk.map { [.init(path: $0, readBytesPerSecond: 1_000_000)] } ?? []
            let container = try await host.lxc.createContainer(specification)
            try await container.start()
            let limits = try await container.limits()
            #expect(limits.memory == .mebibytes(64) && limits.softMemory == .mebibytes(32))
            #expect(limits.memoryAndSwap == .mebibytes(96))
            #expect(limits.cpuShares == 300 && limits.cpuPeriod == 20_000 && limits.cpuQuota == 5_000)
            #expect(limits.cpuSet == "0")
            #expect(limits.blockIOWeight == 200)
            #expect(limits.devices == specification.blockIODevices)
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
            specification.memory = .mebibytes(64)
            let container = try await host.lxc.createContainer(specification)
            #expect(try await container.limits() == GuestLimits(memory: .mebibytes(64), processes: 4096))
            let change = GuestLimits(
                memory: .mebibytes(48), cpuShares: 300, cpuPeriod: 20_000, cpuQuota: 5_000, cpuSet: "0",
                processes: 500)
            try await container.setLimits(change)
            #expect(try await container.limits() == change)
            try await container.start()
            var running = try await container.limits()
            running.blockIOWeight = nil  // The kernel's own.
            #expect(running == change)
            try await container.delete()
        }
    }

    @Test func limitsAreChangedWhileItRunsAndStay() async throws {
        try await TestHost.run { host in
            let container = try await host.started("changed")
            let before = try await container.limits()
            #expect(before.memory == .mebibytes(512) && before.cpuQuota == nil)
            let devices = Self.disk.map { disk in
                [GuestLimits.Device(path: disk, writeBytesPerSecond: 2_000_000, readOperationsPerSecond: 100)]
            }
            let change = GuestLimits(
                memory: .mebibytes(128), softMemory: .mebibytes(64), memoryAndSwap: .mebibytes(256), cpuShares: 512,
                cpuPeriod: 50_000, cpuQuota: 25_000, cpuSet: "0", blockIOWeight: 300, processes: 400,
                devices: devices ?? [])
            try await container.setLimits(change)
            #expect(try await container.limits() == change)
            #expect(try kernel(container, "memory.limit_in_bytes", "memory.max") == "134217728")
            #expect(try await container.statistics().memoryLimit == .mebibytes(128))
            // Growing beyond the sum, and shrinking below it, in one change each.
            try await container.setLimits(GuestLimits(memory: .mebibytes(300), memoryAndSwap: .mebibytes(400)))
            try await container.setLimits(GuestLimits(memory: .mebibytes(100), memoryAndSwap: .mebibytes(150)))
            try await container.setLimits(GuestLimits(cpuQuota: -1))
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
            let impossible = [
                GuestLimits(memory: .kibibytes(1)), GuestLimits(memory: .mebibytes(64), memoryAndSwap: .mebibytes(32)),
                GuestLimits(memory: .mebibytes(64), cpuQuota: 10), GuestLimits(memory: .mebibytes(64), cpuSet: "x"),
                GuestLimits(cpuSet: "4000"), GuestLimits(memory: .mebibytes(64), blockIOWeight: 5),
                GuestLimits(memory: .mebibytes(64), devices: [.init(path: "/etc/passwd", readBytesPerSecond: 1)]),
                GuestLimits(devices: [.init(path: "/dev/no-such-disk", readBytesPerSecond: 1)]),
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
            specification.memory = .mebibytes(32)
            specification.memoryAndSwap = .mebibytes(32)
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
                #expect(statistics.cpuNanoseconds > 0 && statistics.memoryUsed > ByteCount(0))
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
