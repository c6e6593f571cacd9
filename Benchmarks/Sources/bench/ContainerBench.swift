// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import LXCHypervisor
import LibvirtXML
import Logging

/// Containers from creation to destruction compared with virsh on the same document, many concurrently compared with
/// one after the other, and the resources of a program with many of them.
struct ContainerBench {
    private let directory: String
    private let rounds: Int
    private let parallel: Int
    private let held: Int
    /// A root with systemd as a tar archive.
    private let distribution: String?

    init(_ arguments: inout Arguments) throws {
        let isQuick = arguments.flag("--quick")
        rounds = try arguments.number("--rounds") ?? (isQuick ? 1 : 5)
        parallel = try arguments.number("--parallel") ?? (isQuick ? 5 : 50)
        held = try arguments.number("--held") ?? (isQuick ? 20 : 500)
        distribution = try arguments.value("--distribution")
        directory = "\(try arguments.required())/bench.\(getpid())"
        try arguments.end()
    }

    func run() async throws {
        try makeRoot()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        var configuration = PrivateLibvirtd.Configuration()
        configuration.directory = "\(directory)/libvirt"
        let daemon = try await PrivateLibvirtd.start(configuration, logger: Self.logger)
        let driver = LibvirtContainers(uri: daemon.uri(for: .lxc), logger: Self.logger)
        do {
            try await measure(driver, uri: daemon.uri(for: .lxc))
        } catch {
            await driver.close()
            await daemon.stop()
            throw error
        }
        await driver.close()
        await daemon.stop()
    }

    private static let logger = Logger(label: "bench") { _ in SwiftLogNoOpLogHandler() }

    private func measure(_ driver: LibvirtContainers, uri: String) async throws {
        print("what                     ours s   virsh s   of its time")
        try await compare(driver, uri)
        print("\nwhat                     at once s   one after the other s   times as fast")
        try await compareMany(driver)
        try await hold(driver)
        if let distribution { try await stopDistribution(driver, distribution) }
    }

    // MARK: One

    /// A process 1 that ignores SIGTERM, the default without a handler; and one that ends.
    private enum Initializer: String, CaseIterable {
        case sleeping
        case ending

        var arguments: [String] {
            switch self {
            case .sleeping: ["sleep", "1000000"]
            case .ending: ["sh", "-c", "trap 'exit 0' TERM; while :; do read -t 60 line; done"]
            }
        }
    }

    private func compare(_ driver: LibvirtContainers, _ uri: String) async throws {
        for initializer in Initializer.allCases {
            let document = try domain("bench", initializer)
            let file = "\(directory)/bench.xml"
            try Data(document.xml().utf8).write(to: URL(filePath: file))
            var (ours, theirs): ([Round], [Round]) = ([], [])
            for round in 0...rounds {
                for isOurs in round.isMultiple(of: 2) ? [true, false] : [false, true] {
                    let times = isOurs ? try await own(driver, document) : try virsh(uri, file)
                    // The first warms up.
                    guard round > 0 else { continue }
                    if isOurs { ours.append(times) } else { theirs.append(times) }
                }
            }
            for (what, part) in [("create", \Round.create), ("destroy", \Round.destroy)] {
                let shares = zip(ours, theirs).map { $0[keyPath: part] / $1[keyPath: part] }
                print(
                    row(
                        "\(what), \(initializer) init", ours.map { $0[keyPath: part] }, theirs.map { $0[keyPath: part] }
                    )
                        + String(format: "%14.2f", median(shares)))
            }
        }
    }

    private struct Round {
        var create: Double
        var destroy: Double
    }

    private func own(_ driver: LibvirtContainers, _ domain: Domain) async throws -> Round {
        let name = try GuestName(domain.name)
        return Round(
            create: try await seconds { try await driver.startTransient(domain) },
            destroy: try await seconds { try await driver.kill(name) })
    }

    private func virsh(_ uri: String, _ file: String) throws -> Round {
        let virsh = { (words: [String]) in
            try Program(["/usr/bin/virsh", "-c", uri] + words).run(log: "\(directory)/log").seconds
        }
        return Round(create: try virsh(["create", file]), destroy: try virsh(["destroy", "bench"]))
    }

    // MARK: Many

    private func compareMany(_ driver: LibvirtContainers) async throws {
        let domains = try (0..<parallel).map { try domain("bench-\($0)", .sleeping) }
        let names = try domains.map { try GuestName($0.name) }
        let atOnce = try await seconds { try await each(domains) { try await driver.startTransient($0) } }
        let destroyedAtOnce = try await seconds { try await each(names) { try await driver.kill($0) } }
        let inTurn = try await seconds { for domain in domains { try await driver.startTransient(domain) } }
        let destroyedInTurn = try await seconds { for name in names { try await driver.kill(name) } }
        for (what, fast, slow) in [("create", atOnce, inTurn), ("destroy", destroyedAtOnce, destroyedInTurn)] {
            print(
                "\(what) \(parallel)".padding(toLength: 22, withPad: " ", startingAt: 0)
                    + String(format: "%12.2f%24.2f%16.2f", fast, slow, slow / fast))
        }
    }

    private func each<Item: Sendable>(
        _ items: [Item], _ body: @escaping @Sendable (Item) async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for item in items { group.addTask { try await body(item) } }
            try await group.waitForAll()
        }
    }

    // MARK: Holding

    /// Defines many, listens to their events, and measures this process.
    private func hold(_ driver: LibvirtContainers) async throws {
        let before = try Self.usage()
        let domains = try (0..<held).map { try domain("held-\($0)", .sleeping) }
        for domain in domains { try await driver.define(domain) }
        let events = try await driver.events()
        let guests = try await driver.guests()
        let after = try Self.usage()
        print(
            "\nholding \(guests.count) containers: \(after.kibibytes - before.kibibytes) KiB more than before, "
                + "\(after.threads) threads")
        for domain in domains { try await driver.undefine(GuestName(domain.name)) }
        withExtendedLifetime(events) {}
    }

    private static func usage() throws -> (kibibytes: Int, threads: Int) {
        let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        func number(_ key: String) -> Int {
            let line = status.split(separator: "\n").first { $0.hasPrefix(key) }
            return line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) } ?? 0
        }
        return (number("VmRSS:"), number("Threads:"))
    }

    // MARK: A distribution

    /// From asking systemd to halt to libvirt's word that the container has ended.
    private func stopDistribution(_ driver: LibvirtContainers, _ archive: String) async throws {
        let root = "\(directory)/distribution"
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
        _ = try Program("tar", "--numeric-owner", "-xf", archive, "-C", root).run(log: "\(directory)/log")
        let name = try GuestName("distribution")
        var specification = LXCHypervisor.ContainerSpecification(
            name: name, template: .random(), privilege: .privileged)
        specification.limits.memory = .mebibytes(512)
        let document = try specification.domain(root: root)
        var times: [Double] = []
        for _ in 0..<rounds {
            try await driver.startTransient(document)
            while try await !hasBooted(driver, name) { try await Task.sleep(for: .milliseconds(100)) }
            let events = try await driver.events()
            times.append(
                try await seconds {
                    try await driver.send(.systemdHalt, to: name)
                    for try await event in events where event.guest == name && event.kind == .stopped { return }
                })
        }
        print(String(format: "\nstop of a Debian with systemd: %.2f s", median(times)))
    }

    private func hasBooted(_ driver: LibvirtContainers, _ name: GuestName) async throws -> Bool {
        let command = GuestCommand(["systemctl", "is-system-running", "--wait"])
        let process = try await driver.execute(command, in: name)
        var text: [UInt8] = []
        for try await bytes in process.output { text += bytes }
        _ = try await process.wait()
        return ["running\n", "degraded\n"].contains(String(decoding: text, as: UTF8.self))
    }

    // MARK: Support

    private func makeRoot() throws {
        for folder in ["bin", "dev", "etc", "proc", "run", "sbin", "sys", "tmp"] {
            try FileManager.default.createDirectory(
                atPath: "\(directory)/root/\(folder)", withIntermediateDirectories: true)
        }
        try FileManager.default.copyItem(atPath: "/bin/busybox", toPath: "\(directory)/root/bin/busybox")
    }

    private func domain(_ name: String, _ initializer: Initializer) throws -> Domain {
        var specification = LXCHypervisor.ContainerSpecification(
            name: try GuestName(name), template: .random(), privilege: .privileged)
        specification.limits.memory = .mebibytes(64)
        specification.initProcess = .init(path: "/bin/busybox", arguments: initializer.arguments)
        return try specification.domain(root: "\(directory)/root")
    }

    private func row(_ what: String, _ ours: [Double], _ theirs: [Double]) -> String {
        what.padding(toLength: 22, withPad: " ", startingAt: 0)
            + String(format: "%9.3f%10.3f", median(ours), median(theirs))
    }

    private func seconds(_ body: () async throws -> Void) async throws -> Double {
        let clock = ContinuousClock()
        let start = clock.now
        try await body()
        let duration = clock.now - start
        return Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
    }
}
