// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import HypervisorDriver
import LXCCore
import Libvirt
import TestSupport
import Testing

@Suite(.tags(.host), .serialized, .limited, .host(.root, .libvirtd, .busybox)) struct PrivateLibvirtdLingeringTests {
    private func configuration(_ directory: String) -> PrivateLibvirtd.Configuration {
        PrivateLibvirtd.Configuration(directory: directory, lifetime: .lingering(idleTimeout: .seconds(2)))
    }

    @Test func processesShareItAndContainersOutliveThem() async throws {
        let container = try BusyboxContainer("while true; do sleep 100; done")
        let directory = freshDirectory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let other = try await OwnerProcess(directory: directory, lifetime: "2", container: container)
        let pid = try #require(pidOfDaemon(in: directory))
        let daemon = try await PrivateLibvirtd.start(configuration(directory), logger: logger)
        #expect(daemon.process == nil, "the other process's daemon is used")
        other.kill()

        let connection = try await LibvirtConnection.open(daemon.uri(for: .lxc), logger: logger)
        #expect(try await connection.status(of: container.name).state == .running)
        let process = try #require(RunningProcess(pid))
        try await connection.destroy(container.name)
        await connection.close()
        await daemon.stop()
        #expect(await eventually { !process.isAlive }, "without clients and domains it ends by itself")
        #expect(controlGroups(of: container.name).isEmpty)
    }

    @Test func twoStartsAtOnceMakeOneDaemon() async throws {
        let directory = freshDirectory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let configuration = configuration(directory)
        async let first = PrivateLibvirtd.start(configuration, logger: logger)
        async let second = PrivateLibvirtd.start(configuration, logger: logger)
        async let third = OwnerProcess(directory: directory, lifetime: "2")
        let daemons = try await [first, second]
        let other = try await third
        #expect(daemons.compactMap(\.process).count <= 1)
        let process = try #require(pidOfDaemon(in: directory).flatMap { RunningProcess($0) })
        for daemon in daemons { await daemon.stop() }
        #expect(process.isAlive, "the other process still uses it")
        try other.leave()
        #expect(await eventually { !process.isAlive })
    }

    /// More than there are threads for calls that block: waiting for the first start must hold none of them.
    @Test func manyStartsAtOnceHoldNothingUp() async throws {
        let directory = freshDirectory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let configuration = configuration(directory)
        let daemons = try await withThrowingTaskGroup(of: PrivateLibvirtd.self) { group in
            for _ in 0..<20 {
                group.addTask { try await PrivateLibvirtd.start(configuration, logger: logger) }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(daemons.compactMap(\.process).count == 1)
        let process = try #require(pidOfDaemon(in: directory).flatMap { RunningProcess($0) })
        for daemon in daemons { await daemon.stop() }
        #expect(await eventually { !process.isAlive })
    }

    @Test func containersSurviveTheDaemon() async throws {
        let container = try BusyboxContainer("while true; do sleep 100; done")
        let directory = freshDirectory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let daemon = try await PrivateLibvirtd.start(configuration(directory), logger: logger)
        let connection = try await LibvirtConnection.open(daemon.uri(for: .lxc), logger: logger)
        let identity = try await connection.create(xml: container.document)
        let controller = try #require(identity.id.flatMap { RunningProcess($0) })
        let first = try #require(pidOfDaemon(in: directory).flatMap { RunningProcess($0) })
        kill(first.pid, SIGKILL)
        #expect(await eventually { !first.isAlive })
        #expect(controller.isAlive)

        let again = try await PrivateLibvirtd.start(configuration(directory), logger: logger)
        #expect(again.process != nil)
        // The old connection opens again by itself, and everything is as it was.
        let found = try await connection.summary(of: container.name)
        #expect(found.identity == identity)
        #expect(found.state == .running)
        try await connection.destroy(container.name)
        #expect(await eventually { !controller.isAlive })
        await connection.close()
        let second = try #require(pidOfDaemon(in: directory).flatMap { RunningProcess($0) })
        await daemon.stop()
        await again.stop()
        #expect(await eventually { !second.isAlive })
        #expect(controlGroups(of: container.name).isEmpty)
    }
}
