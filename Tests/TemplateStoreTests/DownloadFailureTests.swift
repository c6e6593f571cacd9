// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCCore
import TemplateStore
import TestSupport
import Testing

/// Servers that are away or busy, and what is refused of them.
@Suite(.limited)
struct DownloadFailureTests {
    private let fixture: DownloadFixture

    init() throws { fixture = try DownloadFixture() }

    // MARK: Servers that are away or busy

    @Test(arguments: [500, 502, 503, 429, 408]) func passingFailuresAreTriedAgain(_ status: Int) async throws {
        let archive = fixture.archive
        let server = try WebServer { request, number in
            number < 2
                ? WebServer.Answer(status, body: Array("busy".utf8)) : WebServer.File(archive).answer(request)
        }
        _ = try await fixture.storage.store.register(fixture.registration(server), progress: nil)
        #expect(server.requests.count == 3)
    }

    @Test func aServerIsGivenTheTimeItAsksFor() async throws {
        let archive = fixture.archive
        let server = try WebServer { request, number in
            number == 0
                ? WebServer.Answer(503, fields: ["Retry-After": "1"]) : WebServer.File(archive).answer(request)
        }
        let start = ContinuousClock.now
        _ = try await fixture.storage.store.register(fixture.registration(server), progress: nil)
        #expect(ContinuousClock.now - start >= .seconds(1))
    }

    /// What came until then is kept, and completed by the next.
    @Test func theTimeOfADownloadIsBounded() async throws {
        let archive = fixture.archive
        let server = try WebServer { request, number in
            var answer = WebServer.File(archive).answer(request)
            // The first would take minutes.
            if number == 0 { answer.pause = .seconds(1) }
            return answer
        }
        var registration = fixture.registration(server)
        registration.download.timeLimit = .seconds(2)
        let limited = registration
        let error = await expect(.unavailable) {
            try await fixture.storage.store.register(limited, progress: nil)
        }
        #expect(error?.message.contains("2.0 seconds") == true, "\(String(describing: error))")
        let hasCome = fixture.storage.directory.exists("secondary/template/tmpl/1/.10.download")
        registration.download.timeLimit = .seconds(600)
        _ = try await fixture.storage.store.register(registration, progress: nil)
        #expect(server.requests.count == 2)
        #expect((server.requests.last?["range"] != nil) == hasCome)
    }

    @Test func triesAreBounded() async throws {
        let server = try WebServer { _, _ in WebServer.Answer(503) }
        var registration = fixture.registration(server)
        registration.download.retries = 3
        let error = await expect(.unavailable) {
            try await fixture.storage.store.register(registration, progress: nil)
        }
        #expect(error?.message.contains("503") == true)
        #expect(server.requests.count == 4)
        fixture.expectNothing()
    }

    @Test(arguments: [(404, LXCError.Code.notFound), (403, .permissionDenied), (400, .unavailable), (410, .notFound)])
    func refusalsAreFinal(_ status: Int, _ code: LXCError.Code) async throws {
        let server = try WebServer { _, _ in WebServer.Answer(status) }
        let registration = fixture.registration(server)
        let error = await #expect(throws: LXCError.self) {
            try await fixture.storage.store.register(registration, progress: nil)
        }
        #expect(error?.code == code)
        #expect(error?.message.contains("\(status)") == true)
        #expect(server.requests.count == 1)
        fixture.expectNothing()
    }

    @Test func aServerThatIsNotThereIsUnavailable() async throws {
        let server = try WebServer { _, _ in WebServer.Answer(200) }
        var registration = fixture.registration(server)
        registration.download.retries = 1
        server.stop()
        try await Task.sleep(for: .milliseconds(100))
        await expect(.unavailable) { try await fixture.storage.store.register(registration, progress: nil) }
        fixture.expectNothing()
    }

    @Test func aServerThatFallsSilentIsLeft() async throws {
        let server = try WebServer { _, _ in
            var answer = WebServer.Answer(200)
            answer.delay = .seconds(60)
            return answer
        }
        var registration = fixture.registration(server)
        registration.download.retries = 0
        registration.download.patience = .seconds(1)
        // Had it waited, the server's answer would have come, and with it the template.
        await expect(.unavailable) { try await fixture.storage.store.register(registration, progress: nil) }
    }

    // MARK: Refused

    @Test func aWrongChecksumLeavesNothing() async throws {
        let server = try WebServer(WebServer.File(fixture.archive))
        var registration = fixture.registration(server)
        registration.checksum = try Checksum(parsing: "{SHA-512}" + String(repeating: "0", count: 128))
        await expect(.corrupt) { try await fixture.storage.store.register(registration, progress: nil) }
        #expect(server.requests.count == 1)
        fixture.expectNothing()
    }

    @Test func whatIsNoArchiveLeavesNothing() async throws {
        let server = try WebServer(WebServer.File(Array("<html>not what you wanted</html>".utf8)))
        await expect(.corrupt) { try await fixture.storage.store.register(fixture.registration(server), progress: nil) }
        fixture.expectNothing()
    }

    @Test(arguments: [true, false]) func theMaximumSizeIsOfTheDownloadToo(_ tellsLength: Bool) async throws {
        let archive = fixture.archive
        let server = try WebServer { request, _ in
            var answer = WebServer.File(archive).answer(request)
            answer.tellsLength = tellsLength
            return answer
        }
        var registration = fixture.registration(server)
        registration.maximumSize = ByteCount(UInt64(fixture.archive.count) - 1)
        #expect(
            await codeThrown { try await fixture.storage.store.register(registration, progress: nil) } == .limitExceeded
        )
        #expect(server.requests.count == 1)
        fixture.expectNothing()
    }
}
