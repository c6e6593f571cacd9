// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import HypervisorDriver
import LXCCore
import Libvirt
import TestSupport
import Testing

/// What the module Libvirt can only show with real containers.
@Suite(.tags(.host), .serialized, .limited, .host(.root, .libvirtd, .busybox)) struct PrivateLibvirtdContainerTests {
    /// Runs `body` with a daemon and a connection, which are gone afterwards.
    private func withDaemon(_ body: (LibvirtConnection, PrivateLibvirtd) async throws -> Void) async throws {
        let daemon = try await PrivateLibvirtd.start(logger: logger)
        let result: Result<Void, any Error>
        do {
            let connection = try await LibvirtConnection.open(daemon.uri(for: .lxc), logger: logger)
            result = .success(try await body(connection, daemon))
            await connection.close()
        } catch {
            result = .failure(error)
        }
        await daemon.stop()
        try result.get()
    }

    /// Reads a console until `text` was seen; nil when it ends before.
    private func read(_ console: ConsoleStream, until text: String) async throws -> String? {
        var seen = ""
        for try await chunk in console {
            seen += String(decoding: chunk, as: UTF8.self)
            if seen.contains(text) { return seen }
        }
        return nil
    }

    @Test func aConsoleGoesBothWaysAndEndsWithTheContainer() async throws {
        let container = try BusyboxContainer("echo hello; read x; echo got $x; read y; exit 0")
        try await withDaemon { connection, _ in
            try await connection.create(xml: container.document)
            let console = try await connection.openConsole(of: container.name)
            #expect(try await read(console, until: "hello") != nil)
            try await console.write("some words\n".utf8)
            #expect(try await read(console, until: "got some words") != nil)
            try await console.write("\n".utf8)
            #expect(try await read(console, until: "never") == nil, "the output ends when the container does")
            let error = await #expect(throws: LXCError.self) { try await console.write("late".utf8) }
            #expect(error?.code == .invalidState)
            #expect(console.droppedByteCount == 0)
            await console.close()
            await console.close()
            #expect(await eventually { (try? await connection.domains().isEmpty) ?? false })
        }
    }

    @Test func theLastWordsOfAContainerAreHeard() async throws {
        let container = try BusyboxContainer("read x; seq 1 20000; echo the end; sleep 1; exit 0")
        try await withDaemon { connection, _ in
            try await connection.create(xml: container.document)
            let console = try await connection.openConsole(of: container.name)
            try await console.write("\n".utf8)
            var output = ""
            for try await chunk in console { output += String(decoding: chunk, as: UTF8.self) }
            let lines = output.split(whereSeparator: \.isNewline).map(String.init)
            #expect(lines.suffix(20001) == (1...20000).map(String.init) + ["the end"])
            #expect(console.droppedByteCount == 0)
            await console.close()
        }
    }

    @Test func closingAConsoleEndsItsOutput() async throws {
        let container = try BusyboxContainer("while true; do sleep 100; done")
        try await withDaemon { connection, _ in
            try await connection.create(xml: container.document)
            let console = try await connection.openConsole(of: container.name)
            async let seen = read(console, until: "never")
            await console.close()
            #expect(try await seen == nil)
            #expect(try await connection.status(of: container.name).state == .running)
            let missing = await #expect(throws: LXCError.self) {
                _ = try await connection.openConsole(of: container.name, device: "console7")
            }
            #expect(missing?.code != .unavailable)
        }
    }

    @Test func aFloodingConsoleStaysBoundedAndHoldsNothingUp() async throws {
        let container = try BusyboxContainer("yes 0123456789012345678901234567890123456789")
        try await withDaemon { connection, _ in
            try await connection.create(xml: container.document)
            let console = try await connection.openConsole(of: container.name)
            #expect(await eventually { console.droppedByteCount > 1 << 20 })
            #expect(try await connection.status(of: container.name).state == .running)
            await console.close()
            var left = 0
            for try await chunk in console { left += chunk.count }
            #expect(left <= 4 << 20)
        }
    }

    @Test func aContainerThatReadsNothingHoldsUpOnlyItsConsole() async throws {
        let container = try BusyboxContainer("while true; do sleep 100; done")
        try await withDaemon { connection, _ in
            try await connection.create(xml: container.document)
            let console = try await connection.openConsole(of: container.name)
            let writing = Task { try await console.write(repeatElement(UInt8(ascii: "x"), count: 8 << 20)) }
            for _ in 0..<20 { _ = try await connection.status(of: container.name) }
            try await connection.destroy(container.name)
            await #expect(throws: LXCError.self) { try await writing.value }
            await console.close()
        }
    }

    @Test func aRunningContainerTellsWhatItUses() async throws {
        let bridge = "tb\(UInt32.random(in: 0...999_999))"
        try run("/sbin/ip", "link", "add", bridge, "type", "bridge")
        defer { try? run("/sbin/ip", "link", "del", bridge) }
        let port = "tv\(UInt32.random(in: 0...999_999))"
        let container = try BusyboxContainer(
            "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; while true; do sleep 100; done",
            interface: "<interface type='bridge'><source bridge='\(bridge)'/><target dev='\(port)'/></interface>")
        try await withDaemon { connection, _ in
            try await connection.create(xml: container.document)
            let name = container.name
            #expect(try await connection.info(of: name).maximumMemory == .mebibytes(64))
            #expect(await eventually { ((try? await connection.cpuStatistics(of: name))?.total ?? 0) > 0 })
            let memory = try await connection.memoryStatistics(of: name)
            #expect(memory.actual != nil)
            _ = try await connection.interfaceStatistics(of: name, device: port)
            _ = try await connection.blockStatistics(of: name)
            try await connection.setSchedulerParameters(["cpu_shares": .unsignedLong(512)], of: name, affecting: .live)
            #expect(try await connection.schedulerParameters(of: name)["cpu_shares"] == .unsignedLong(512))
            try await connection.setMemoryParameters(
                ["hard_limit": .unsignedLong(98304)], of: name, affecting: .live)
            #expect(try await connection.memoryParameters(of: name)["hard_limit"] == .unsignedLong(98304))
            try await connection.suspend(name)
            #expect(try await connection.status(of: name).state == .paused)
            try await connection.resume(name)
            let error = await #expect(throws: LXCError.self) {
                _ = try await connection.interfaceStatistics(of: name, device: "nothing")
            }
            #expect(error?.code == .invalidArgument)
        }
    }

    @Test func signalsReachInit() async throws {
        let container = try BusyboxContainer("trap 'exit 0' TERM; echo ready; while true; do sleep 1; done")
        try await withDaemon { connection, _ in
            let events = try await connection.lifecycleEvents()
            try await connection.create(xml: container.document)
            let console = try await connection.openConsole(of: container.name)
            #expect(try await read(console, until: "ready") != nil)
            try await connection.shutDown(container.name, by: .signal)
            var kinds: [DomainEvent.Kind] = []
            for try await event in events {
                kinds.append(event.kind)
                if event.kind == .stopped { break }
            }
            #expect(kinds.first == .started)
            await console.close()
        }
    }

    @Test func aFrozenDaemonCountsAsLost() async throws {
        try await withDaemon { _, daemon in
            let connection = try await LibvirtConnection.open(
                daemon.uri(for: .lxc), keepAlive: LibvirtConnection.KeepAlive(interval: 1, count: 1), logger: logger)
            let events = try await connection.lifecycleEvents()
            let pid = try #require(pidOfDaemon(in: daemon.directory))
            kill(pid, SIGSTOP)
            let call = await #expect(throws: LXCError.self) { _ = try await connection.domains() }
            #expect(call?.code == .unavailable)
            let stream = await #expect(throws: LXCError.self) { for try await _ in events {} }
            #expect(stream?.code == .unavailable)
            kill(pid, SIGCONT)
            #expect(try await connection.domains().isEmpty)
            await connection.close()
        }
    }

    /// Stopped by SIGSTOP, with a connection open and calls under way.
    @Test func aFrozenDaemonHoldsNobody() async throws {
        try await withDaemon { other, daemon in
            let connection = try await LibvirtConnection.open(
                daemon.uri(for: .lxc), patience: .init(reading: .milliseconds(300)), logger: logger)
            let pid = try #require(pidOfDaemon(in: daemon.directory))
            kill(pid, SIGSTOP)
            defer { kill(pid, SIGCONT) }
            let late = await #expect(throws: LXCError.self) { _ = try await connection.domains() }
            #expect(late?.code == .timedOut)
            #expect(late?.message.contains(connection.displayURI) == true)
            let subscription = await #expect(throws: LXCError.self) { _ = try await connection.lifecycleEvents() }
            #expect(subscription?.code == .timedOut)
            let task = Task { try await other.domains() }
            try await Task.sleep(for: .milliseconds(50))
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            await connection.close()
            kill(pid, SIGCONT)
            #expect(try await other.domains().isEmpty)
        }
    }

    /// However often and however soon it dies.
    @Test func aDaemonThatDiesAgainAndAgainTakesNoContainerWithIt() async throws {
        let container = try BusyboxContainer("trap '' TERM; while true; do sleep 100; done")
        try await withDaemon { connection, daemon in
            let identity = try await connection.create(xml: container.document)
            let controller = try #require(identity.id.flatMap { RunningProcess($0) })
            var dead: Set<Int32> = []
            for _ in 0..<4 {
                #expect(
                    await eventually {
                        pidOfDaemon(in: daemon.directory).map { !dead.contains($0) && RunningProcess($0) != nil }
                            ?? false
                    })
                let pid = try #require(pidOfDaemon(in: daemon.directory))
                dead.insert(pid)
                kill(pid, SIGKILL)
            }
            #expect(await eventually { (try? await connection.summary(of: container.name).identity) == identity })
            #expect(controller.isAlive)
        }
    }

    @Test func aLostDaemonEndsEventsAndComesBack() async throws {
        let container = try BusyboxContainer("while true; do sleep 100; done")
        try await withDaemon { connection, daemon in
            let identity = try await connection.create(xml: container.document)
            let events = try await connection.lifecycleEvents()
            let first = try #require(pidOfDaemon(in: daemon.directory).flatMap { RunningProcess($0) })
            // The supervisor starts a daemon again that ran for five seconds.
            try await Task.sleep(for: .seconds(6))
            kill(first.pid, SIGKILL)
            let error = await #expect(throws: LXCError.self) { for try await _ in events {} }
            #expect(error?.code == .unavailable)
            #expect(await eventually { (try? await connection.summary(of: container.name).identity) == identity })
        }
    }
}
