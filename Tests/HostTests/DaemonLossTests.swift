// SPDX-License-Identifier: Apache-2.0

import CloudStack
import Foundation
import Glibc
import LXCHypervisor
import LibvirtXML
import TestSupport
import Testing

/// libvirtd is killed and started again under running containers.
@Suite(.tags(.host), .host(.root, .libvirtd, .busybox), .serialized, .limited)
struct DaemonLossTests {
    private func domain(_ name: GuestName, _ root: String) -> Domain {
        let script = "trap 'exit 0' TERM; while true; do read -t 60 line; done"
        var domain = Domain(
            type: .lxc, name: name.description,
            os: .container(initPath: "/bin/busybox", arguments: ["sh", "-c", script]))
        domain.memory = .mebibytes(64)
        domain.features.privateNetwork = true
        domain.filesystems = [Filesystem(.mount(root), target: "/")]
        domain.consoles = [CharacterDevice(targetType: "lxc", port: 0)]
        return domain
    }

    @Test func containersSurviveAndEventsGoOn() async throws {
        let container = try BusyboxContainer("")
        let directory = freshDirectory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let configuration = PrivateLibvirtd.Configuration(
            directory: directory, lifetime: .lingering(idleTimeout: .seconds(10)))
        let daemon = try await PrivateLibvirtd.start(configuration, logger: logger)
        let driver = LibvirtContainers(uri: daemon.uri(for: .lxc), logger: logger)
        let names = try ["stays", "ends", "passes"].map { try GuestName("\($0)-\(container.name)") }
        for name in names.prefix(2) {
            try await driver.define(domain(name, container.root))
            try await driver.start(name)
        }
        try await driver.startTransient(domain(names[2], container.root))
        let guests = try await driver.guests()
        let events = try await driver.events()

        let first = try #require(pidOfDaemon(in: directory).flatMap { RunningProcess($0) })
        kill(first.pid, SIGKILL)
        #expect(await eventually { !first.isAlive })
        // While nobody watches, two of them end.
        let ending = try guests.filter { $0.name != names[0] }.map {
            try #require($0.id.flatMap { RunningProcess($0) })
        }
        for controller in ending { RunningProcess.tree(controller.pid).forEach { kill($0.pid, SIGKILL) } }
        #expect(await eventually { ending.allSatisfy { !$0.isAlive } })

        let again = try await PrivateLibvirtd.start(configuration, logger: logger)
        var told: [String: [GuestEvent.Kind]] = [:]
        var isAsked = false
        for try await event in events {
            told[event.guest.description, default: []].append(event.kind)
            if !isAsked, told.count == 2 {
                // What happens from now on is told as well.
                isAsked = true
                #expect(try await driver.guest(names[0]) == guests.first { $0.name == names[0] })
                try await driver.kill(names[0])
            }
            if event.guest == names[0] { break }
        }
        #expect(
            told == [
                names[0].description: [.stopped], names[1].description: [.stopped], names[2].description: [.stopped],
            ])
        for name in names.prefix(2) { try await driver.undefine(name) }
        await driver.close()
        let second = try #require(pidOfDaemon(in: directory).flatMap { RunningProcess($0) })
        await daemon.stop()
        await again.stop()
        #expect(await eventually { !second.isAlive })
        #expect(controlGroups(of: names[0].description).isEmpty)
        // Of what ended while it was away libvirtd does not remove the groups.
        for group in names.dropFirst().flatMap({ controlGroups(of: $0.description) }) { rmdir(group) }
    }

    /// A program that goes on for long, as an agent does, has its daemon started again.
    @Test func aDriverStartsItsDaemonAgain() async throws {
        let container = try BusyboxContainer("")
        let directory = freshDirectory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let daemon = try await PrivateLibvirtd.start(
            .init(directory: directory, lifetime: .lingering(idleTimeout: .seconds(10))), logger: logger)
        let driver = LibvirtContainers(daemon: daemon, logger: logger)
        let name = try GuestName(container.name)
        try await driver.define(domain(name, container.root))
        try await driver.start(name)
        let events = try await driver.events()
        let running = try await driver.guest(name)
        for _ in 0..<2 {
            let process = try #require(pidOfDaemon(in: directory).flatMap { RunningProcess($0) })
            kill(process.pid, SIGKILL)
            #expect(await eventually { !process.isAlive })
            #expect(await eventually { (try? await driver.guest(name)) == running })
        }
        try await driver.kill(name)
        for try await event in events where event.guest == name {
            #expect(event.kind == .stopped, "it has run all the while")
            break
        }
        try await driver.undefine(name)
        await driver.close()
        let last = try #require(pidOfDaemon(in: directory).flatMap { RunningProcess($0) })
        await daemon.stop()
        #expect(await eventually { !last.isAlive })
    }

    @Test func aClosedDriversStreamEnds() async throws {
        let daemon = try await PrivateLibvirtd.start(logger: logger)
        let driver = LibvirtContainers(uri: daemon.uri(for: .lxc), logger: logger)
        let events = try await driver.events()
        await driver.close()
        let error = await #expect(throws: LXCError.self) { for try await _ in events {} }
        #expect(error?.code == .invalidState)
        await daemon.stop()
    }

    @Test func thePowerReportHasBothDriversAndNamesTheOneThatFails() async throws {
        let container = try BusyboxContainer("")
        let daemon = try await PrivateLibvirtd.start(logger: logger)
        let name = try GuestName(container.name)
        let containers = LibvirtContainers(uri: daemon.uri(for: .lxc), logger: logger)
        let nowhere = LibvirtMachines(uri: "qemu:///system?socket=/nonexistent/socket", logger: logger)
        try await containers.define(domain(name, container.root))
        try await containers.start(name)
        let report = await PowerReport.collect(from: [nowhere, containers], hostName: "host-1")
        #expect(report.guests.map(\.name) == [name])
        #expect(report.guests.first?.power == .on)
        #expect(report.guests.first?.driver == "libvirt-lxc")
        #expect(report.failures.map(\.driver) == ["libvirt-kvm"])
        try await containers.kill(name)
        try await containers.undefine(name)
        await containers.close()
        await nowhere.close()
        await daemon.stop()
    }
}
