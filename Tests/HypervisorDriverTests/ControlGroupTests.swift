// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCCore
import TestSupport
import Testing

@testable import HypervisorDriver

/// What is read from control groups, of both versions: files with a kernel's contents in a directory.
@Suite(.limited) struct ControlGroupTests {
    private func files(_ contents: [String: String]) throws -> ScratchDirectory {
        let directory = try ScratchDirectory()
        for (name, text) in contents { try directory.write(text, to: name) }
        return directory
    }

    @Test func mountsOfVersion1AreFoundByTheirControllers() {
        let mounts = ControlGroupMounts(
            mountinfo: """
                50 48 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
                52 48 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
                58 48 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
                """)
        let group = mounts.group(table: "2:cpuacct:/machine/a\n4:memory:/machine/a:b\n9:name=systemd:/\n0::/x\n")
        #expect(group.directory(of: "cpuacct")?.path == "/sys/fs/cgroup/cpu,cpuacct/machine/a")
        #expect(group.directory(of: "memory")?.path == "/sys/fs/cgroup/memory/machine/a:b")
        #expect(group.directory(of: "blkio")?.path == "/sys/fs/cgroup/unified/x")
        #expect(group.directory(of: "blkio")?.isUnified == true)
    }

    @Test func aHostInAContainerSeesPartOfTheHierarchy() {
        let mounts = ControlGroupMounts(mountinfo: "1 2 0:3 /outer /sys/fs/cgroup rw - cgroup2 cgroup2 rw")
        #expect(mounts.group(table: "0::/outer/guest").unified == "/sys/fs/cgroup/guest")
        #expect(mounts.group(table: "0::/outerguest").unified == nil)
    }

    @Test func version2IsRead() throws {
        let directory = try files([
            "cpu.stat": "usage_usec 1500\nuser_usec 1000\n", "memory.current": "4096\n", "memory.max": "max\n",
            "memory.stat": "anon 100\nfile 2048\n", "memory.events": "oom 3\noom_kill 2\n",
            "memory.swap.current": "7\n",
            "io.stat": "254:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n8:0 rbytes=5 wbytes=0 rios=1 wios=0\n",
            "cgroup.procs": "10\n11\n", "inner.scope/cgroup.procs": "12\n",
        ])
        let group = ControlGroup(unified: directory.path)
        var statistics = GuestStatistics(
            cpuTime: .nanoseconds(1), virtualCPUs: 1, memoryUsed: ByteCount(0), memoryLimit: ByteCount(99))
        withExtendedLifetime(directory) { group.read(into: &statistics) }
        #expect(statistics.cpuTime == .nanoseconds(1_500_000))
        #expect(statistics.memoryUsed == ByteCount(4096))
        #expect(statistics.memoryLimit == ByteCount(99), "without a limit of its own it is the document's")
        #expect(statistics.memoryCache == ByteCount(2048))
        #expect(statistics.swapUsed == ByteCount(7))
        #expect(statistics.outOfMemoryKills == 2)
        #expect(statistics.processes == 2, "without the controller")
        #expect(
            statistics.blockIO
                == .init(readBytes: ByteCount(15), readRequests: 2, writtenBytes: ByteCount(20), writeRequests: 2))
    }

    /// Version 1 counts each group alone.
    @Test func whatIsKilledInNestedGroupsCounts() throws {
        let directory = try files([
            "memory.oom_control": "oom_kill_disable 0\noom_kill 1\n",
            "inner/memory.oom_control": "oom_kill_disable 0\noom_kill 2\n",
            "inner/most/memory.oom_control": "oom_kill_disable 0\noom_kill 4\n",
        ])
        let group = ControlGroup(controllers: ["memory": directory.path])
        var statistics = GuestStatistics(
            cpuTime: .nanoseconds(1), virtualCPUs: 1, memoryUsed: ByteCount(0), memoryLimit: ByteCount(99))
        withExtendedLifetime(directory) { group.read(into: &statistics) }
        #expect(statistics.outOfMemoryKills == 7)
    }

    @Test func whatStandsStillIsKnown() throws {
        let directory = try files([
            "v1/freezer.state": "FREEZING\n", "thawed/freezer.state": "THAWED\n", "v2/cgroup.events": "frozen 1\n",
        ])
        let path = directory.path
        withExtendedLifetime(directory) {
            #expect(ControlGroup(controllers: ["freezer": "\(path)/v1"]).isFrozen)
            #expect(!ControlGroup(controllers: ["freezer": "\(path)/thawed"]).isFrozen)
            #expect(ControlGroup(unified: "\(path)/v2").isFrozen)
        }
    }

    @Test func groupsHaveTheSameNameInAllHierarchies() {
        let mounts = ControlGroupMounts(
            mountinfo: """
                50 48 0:30 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer
                52 48 0:32 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
                """)
        #expect(mounts.path(of: "/sys/fs/cgroup/freezer/machine/a", below: "freezer") == "/machine/a")
        #expect(mounts.path(of: "/sys/fs/cgroup/freezer", below: "freezer") == "/")
        #expect(mounts.directory(of: "/machine/a", below: "pids") == "/sys/fs/cgroup/pids/machine/a")
        #expect(!mounts.hasOnlyVersion2)
        #expect(
            ControlGroupMounts(mountinfo: "1 2 0:3 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw").hasOnlyVersion2)
    }

    @Test func version1IsRead() throws {
        let directory = try files([
            "memory.usage_in_bytes": "4096\n", "memory.limit_in_bytes": "9223372036854771712\n",
            "memory.stat": "cache 1\ntotal_cache 2048\ntotal_swap 512\n", "cpuacct.usage": "77\n",
            "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n",
            "blkio.throttle.io_service_bytes_recursive": "254:0 Read 10\n254:0 Write 20\n254:0 Total 30\nTotal 30\n",
            "blkio.throttle.io_serviced_recursive": "254:0 Read 1\n254:0 Write 2\nTotal 3\n",
        ])
        let path = directory.path
        let group = ControlGroup(controllers: ["memory": path, "cpuacct": path, "blkio": path, "freezer": path])
        var statistics = GuestStatistics(
            cpuTime: .nanoseconds(1), virtualCPUs: 1, memoryUsed: ByteCount(0), memoryLimit: ByteCount(99))
        withExtendedLifetime(directory) { group.read(into: &statistics) }
        #expect(statistics.cpuTime == .nanoseconds(77))
        #expect(statistics.memoryUsed == ByteCount(4096))
        #expect(statistics.memoryLimit == ByteCount(99))
        #expect(statistics.memoryCache == ByteCount(2048))
        #expect(statistics.swapUsed == ByteCount(512))
        #expect(statistics.outOfMemoryKills == 4)
        #expect(
            statistics.blockIO
                == .init(
                    readBytes: ByteCount(10), readRequests: 1, writtenBytes: ByteCount(20), writeRequests: 2))
    }

    @Test func theShareOfTheProcessorsIsCloudStacks() {
        var first = GuestStatistics(
            cpuTime: .seconds(1), virtualCPUs: 1, memoryUsed: ByteCount(0), memoryLimit: ByteCount(0))
        var second = first
        first.monotonicTime = .zero
        second.monotonicTime = .seconds(2)
        second.cpuTime = .seconds(2)
        #expect(second.cpuPercent(since: first, hostCPUs: 2) == 25)
        #expect(first.cpuPercent(since: second, hostCPUs: 2) == nil, "time does not run backwards")
        second.cpuTime = .nanoseconds(5)
        #expect(second.cpuPercent(since: first, hostCPUs: 2) == nil, "another run's counter")
    }
}
