// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCTesting
import Logging
import TestSupport
import Testing

@testable import LXCHypervisor

@Suite(.limited) struct HostReportTests {
    @Test func theHostsStatisticsAreTheKernels() async throws {
        let first = try await HostStatistics.current(reserved: .mebibytes(100))
        #expect(first.cpus == ProcessInfo.processInfo.activeProcessorCount)
        #expect(first.memory > first.memoryAvailable && first.memoryAvailable > ByteCount(0))
        #expect(first.memoryForGuests.bytes == first.memory.bytes - ByteCount.mebibytes(100).bytes)
        #expect(first.loadAverages.count == 3)
        #expect(first.root.total > first.root.available)
        #expect(first.cpuTotal > first.cpuBusy && first.cpuBusy > .zero)
        let second = try await HostStatistics.current(reserved: .mebibytes(1 << 40))
        #expect(second.memoryForGuests == ByteCount(0), "more cannot be kept than there is")
        #expect(second.uptime >= first.uptime)
        #expect((0...100).contains(second.cpuPercent()))
    }

    @Test func theServiceWritesTheHeartbeat() async throws {
        let directory = try ScratchDirectory()
        var policy = LXCHypervisor.Policy()
        policy.heartbeat = .init(address: "10.1.2.3", interval: .milliseconds(20))
        let store = try await SharedMountPointStore.create(at: directory.path)
        let host = LXCHypervisor(
            driver: InMemoryHypervisorDriver(), primary: store, templates: InMemoryTemplateStore(), hostName: "host-1",
            policy: policy, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let before = Date(timeIntervalSince1970: Date().timeIntervalSince1970.rounded(.down))
        let service = Task { try await host.run() }
        while try await store.heartbeat(of: "10.1.2.3") == nil { try await Task.sleep(for: .milliseconds(5)) }
        let beat = try #require(try await store.heartbeat(of: "10.1.2.3"))
        #expect(beat >= before && beat <= Date())
        // The next beats replace the file: one that was taken away is there again.
        try FileManager.default.removeItem(atPath: directory["KVMHA/hb-10.1.2.3"])
        while try await store.heartbeat(of: "10.1.2.3") == nil { try await Task.sleep(for: .milliseconds(5)) }
        service.cancel()
        try await service.value
    }

    @Test func theShareOfProcessorsIsThatOfTheTimeBetween() async throws {
        var first = try await HostStatistics.current()
        var second = first
        (first.cpuBusy, first.cpuTotal) = (.seconds(10), .seconds(100))
        (second.cpuBusy, second.cpuTotal) = (.seconds(15), .seconds(120))
        #expect(second.cpuPercent(since: first) == 25)
        #expect(second.cpuPercent() == 12.5)
        #expect(first.cpuPercent(since: first) == 0)
    }

    @Test func waitsGrowAndBeginAgainAfterALongRun() async throws {
        let waits = RestartWaits(.init(initial: .seconds(1), maximum: .seconds(5)))
        let name = try GuestName("web1")
        let now = ContinuousClock.now
        var found: [Duration] = []
        for _ in 0..<4 { found.append(await waits.next(for: name, at: now)) }
        #expect(found == [.seconds(1), .seconds(2), .seconds(4), .seconds(5)])
        await waits.started(name, at: now)
        #expect(await waits.next(for: name, at: now + .seconds(4)) == .seconds(5))
        await waits.started(name, at: now)
        #expect(await waits.next(for: name, at: now + .seconds(6)) == .seconds(1))
    }

    @Test(arguments: [
        ("lxc:///", "qemu:///system"), ("lxc:///system", "qemu:///system"),
        ("lxc:///system?socket=/run/x/libvirt-sock", "qemu:///system?socket=/run/x/libvirt-sock"),
        ("lxc+ssh://root@host/", "qemu+ssh://root@host/system"), ("test:///default", "qemu:///system"),
    ])
    func machinesAreWhereTheContainersAre(containers: String, machines: String) {
        #expect(LXCHypervisor.Connection.machines(besides: containers) == machines)
    }
}

@Suite struct LeaseHolderTests {
    /// Hosts that are called the same are told apart, and the machine's id is not given away.
    @Test func aHostIsKnownByMoreThanItsName() throws {
        let holder = HostFacts.leaseHolder()
        #expect(holder.hasPrefix(HostFacts.current().hostName))
        #expect(holder == HostFacts.leaseHolder())
        guard let id = try? String(contentsOfFile: "/etc/machine-id", encoding: .utf8), id.count >= 32 else { return }
        #expect(holder != HostFacts.current().hostName)
        #expect(!holder.contains(id.prefix(8)))
    }
}
