// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCHypervisor
import LXCTesting
import Logging
import TestSupport
import Testing

/// What is kept of containers' consoles, over an in-memory driver whose consoles say what the test has them say.
@Suite(.limited) struct ConsoleLogTests {
    private let policy: TestPolicy
    private let driver = InMemoryHypervisorDriver()
    private let directory = FileManager.default.temporaryDirectory.path + "/console-\(UUID().uuidString)"

    init() throws { policy = try TestPolicy() }

    /// Runs `body` with a container that runs, and the service that logs its console.
    private func run(
        limit: ByteCount? = .kibibytes(8), _ body: (Container) async throws -> Void
    ) async throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        var policy = policy.host
        policy.consoleLogs.directory = "\(directory)/logs"
        policy.consoleLogs.lockDirectory = "\(directory)/locks"
        let (primary, templates) = (InMemoryPrimaryStore(), InMemoryTemplateStore())
        let host = LXCHypervisor(
            driver: driver, primary: primary, templates: templates, vifs: VifDrivers(standard: InMemoryVifDriver()),
            hostName: "host-1", policy: policy, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        await templates.addArchive(.smallRoot(), at: "/archive.tar")
        let key = TemplateKey(account: 1, id: 10)
        _ = try await templates.register(.init(key: key, name: "test", source: "/archive.tar"), progress: nil)
        let template = try await host.installTemplate(key)
        var specification = ContainerSpecification(name: try GuestName("web1"), template: template.id)
        specification.consoleLog = limit
        let container = try await host.createContainer(specification)
        try await container.start()
        let service = Task { try await host.run() }
        let result: Result<Void, any Error>
        do { result = .success(try await body(container)) } catch { result = .failure(error) }
        service.cancel()
        _ = await service.result
        try result.get()
    }

    private func write(_ text: String, _ container: Container) async {
        await driver.write(Array(text.utf8), onConsoleOf: container.name)
    }

    private func log(_ container: Container) async -> String {
        let part = try? await container.consoleLog(last: .mebibytes(1))
        return String(decoding: part?.bytes ?? [], as: UTF8.self)
    }

    /// Has the container write until it stands in the log: then it is logged.
    private func writeUntilLogged(_ text: String, _ container: Container) async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while await !log(container).contains(text) {
            try #require(ContinuousClock.now < deadline)
            await write(text, container)
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    private var sizes: [Int] {
        ["web1.log", "web1.log.1"].compactMap {
            let attributes = try? FileManager.default.attributesOfItem(atPath: "\(directory)/logs/\($0)")
            return attributes?[.size] as? Int
        }
    }

    @Test func theLastOfItIsKeptForTheOwnerAlone() async throws {
        try await run { container in
            try await writeUntilLogged("begin", container)
            for number in 0..<500 { await write("line \(number) of what is written\n", container) }
            try await writeUntilLogged("end", container)
            #expect(sizes.count == 2 && sizes.allSatisfy { $0 <= 4096 }, "\(sizes)")
            let text = await log(container)
            #expect(text.contains("line 499 of") && text.contains("line 498 of") && !text.contains("begin"))
            #expect(try await container.consoleLog(last: ByteCount(10)).bytes.count == 10)
            for file in ["", "/web1.log", "/web1.log.1"] {
                let attributes = try FileManager.default.attributesOfItem(atPath: "\(directory)/logs\(file)")
                #expect(attributes[.posixPermissions] as? Int == (file.isEmpty ? 0o700 : 0o600))
            }
            // One chunk that is longer than a file.
            await write(String(repeating: "x", count: 20_000), container)
            try await writeUntilLogged("finis", container)
            #expect(sizes.allSatisfy { $0 <= 4096 }, "\(sizes)")
        }
    }

    @Test func itIsFollowedFromWhereItEnded() async throws {
        try await run { container in
            try await writeUntilLogged("begin", container)
            var part = try await container.consoleLog()
            #expect(try await container.consoleLog(after: part.position).bytes.allSatisfy { "begin".utf8.contains($0) })
            try await writeUntilLogged("|start|", container)
            part = try await container.consoleLog()
            var followed = ""
            for number in 0..<300 {
                await write("<\(number)> some text that fills the file up", container)
                // Never so slow that something is dropped in between.
                while !followed.contains("<\(number)>") {
                    part = try await container.consoleLog(after: part.position)
                    followed += String(decoding: part.bytes, as: UTF8.self)
                    await Task.yield()
                }
            }
            let numbers = followed.split(separator: "<").compactMap {
                $0.split(separator: ">").first.flatMap { Int($0) }
            }
            #expect(numbers == Array(0..<300), "nothing twice and nothing left out")
        }
    }

    @Test func whoOpensTheConsoleHasItAlone() async throws {
        try await run { container in
            try await writeUntilLogged("before", container)
            let console = try await container.openConsole()
            let before = await log(container)
            await write("for whom it is", container)
            for try await heard in console.output {
                #expect(String(decoding: heard, as: UTF8.self) == "for whom it is")
                break
            }
            #expect(await log(container).hasPrefix(before))
            #expect(await !log(container).contains("for whom it is"))
            #expect(await log(container).contains("the console was opened"), "the log says why something is missing")
            try await console.write(Array("typed".utf8))
            await console.close()
            try await writeUntilLogged("after", container)
        }
    }

    @Test func theConsoleIsClosedWithItsScope() async throws {
        try await run { container in
            try await writeUntilLogged("before", container)
            await #expect(throws: CancellationError.self) {
                try await container.withConsole { console in
                    try await console.write(Array("typed".utf8))
                    throw CancellationError()
                }
            }
            try await writeUntilLogged("after", container)
        }
    }

    @Test func anotherRunGoesOnWithTheLogAndDestructionRemovesIt() async throws {
        try await run { container in
            try await writeUntilLogged("first", container)
            try await container.stop()
            #expect(await log(container).contains("first"), "it stays when the container ends")
            try await container.start()
            try await writeUntilLogged("second", container)
            #expect(await log(container).contains("first"))
            try await container.delete()
            #expect(sizes.isEmpty)
            let error = await #expect(throws: LXCError.self) { try await container.consoleLog() }
            #expect(error?.code == .notFound)
        }
    }

    @Test func nothingIsKeptUnasked() async throws {
        try await run(limit: nil) { container in
            await write("something", container)
            let console = try await container.openConsole()
            await console.close()
            #expect(!FileManager.default.fileExists(atPath: directory))
        }
    }

    @Test func aLimitBelowTheLeastIsRefused() async throws {
        let error = await #expect(throws: LXCError.self) { try await run(limit: ByteCount(8191)) { _ in } }
        #expect(error?.code == .invalidArgument && error?.message.contains("console log") == true)
    }
}
