// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCHypervisor
import TestSupport
import Testing

/// What real containers write on their consoles, kept.
@Suite(.tags(.host), .host(.root, .libvirtd, .busybox), .limited) struct ConsoleLogTests {
    /// Counts on its console; ends when asked.
    private static let counter = """
        #!/bin/busybox sh
        trap 'exit 0' TERM
        n=0
        while true; do
            n=$((n + 1))
            echo "<$n>"
            read -t 0.05 line
        done
        """

    /// A program of its own over the same stores and daemon.
    private func program(_ host: TestHost) -> LXCHypervisor {
        var policy = LXCHypervisor.Policy()
        policy.consoleLogs.directory = "\(host.directory)/console"
        policy.consoleLogs.lockDirectory = "\(host.directory)/turns"
        return LXCHypervisor(
            driver: host.lxc.drivers.containers, primary: host.lxc.primary, templates: host.lxc.templates,
            hostName: host.lxc.hostName, policy: policy, logger: logger)
    }

    private func numbers(_ bytes: [UInt8]) -> [Int] {
        String(decoding: bytes, as: UTF8.self).split(separator: "<").compactMap { part in
            guard let end = part.firstIndex(of: ">") else { return nil }
            return Int(part[..<end])
        }
    }

    private func logged(_ container: Container) async throws -> [Int] {
        do { return try numbers(await container.consoleLog(last: .mebibytes(1)).bytes) } catch let error as LXCError
            where error.code == .notFound
        { return [] }
    }

    @Test func aConsoleIsLoggedButForWhatSomebodyReads() async throws {
        try await TestHost.run(Self.counter) { host in
            let (logging, reading) = (program(host), program(host))
            let template = try await host.install()
            var specification = ContainerSpecification(name: try GuestName("counter"), template: template.id)
            specification.consoleLog = .mebibytes(1)
            let container = try await logging.createContainer(specification)
            let service = Task { try await logging.run() }
            defer { service.cancel() }
            try await container.start()
            #expect(try await eventually { try await logged(container).count > 20 })
            let before = try await logged(container)
            #expect(before == Array(1...before.count), "from the first line on, each once")

            let console = try await reading.container(container.name).openConsole()
            var bytes: [UInt8] = []
            for try await chunk in console.output {
                bytes += chunk
                if numbers(bytes).count > 20 { break }
            }
            await console.close()
            // The first may have been cut by the taking over.
            let read = Array(numbers(bytes).dropFirst())
            #expect(read == Array(try #require(read.first)..<(read[0] + read.count)), "nothing was taken: \(read)")
            let (last, first) = (try #require(read.last), read[0])
            #expect(try await eventually { try await logged(container).last ?? 0 > last + 20 }, "it is logged again")
            #expect(try await logged(container).allSatisfy { !(first...last).contains($0) }, "nothing was given twice")

            #expect(try await container.stop() == .graceful)
            try await container.delete()
            #expect(try FileManager.default.contentsOfDirectory(atPath: "\(host.directory)/console").isEmpty)
        }
    }
}
