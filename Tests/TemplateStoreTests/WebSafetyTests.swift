// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCCore
import Logging
import Synchronization
import TestSupport
import Testing

@testable import TemplateStore

/// Where a download may lead, and what it must not tell.
@Suite(.limited)
struct WebSafetyTests {
    private let fixture: Fixture

    init() throws { fixture = try Fixture() }

    private func registration(_ source: String, allowed: Bool = true) -> TemplateRegistration {
        var registration = fixture.registration(source)
        registration.download.allowsPrivateAddresses = allowed
        registration.download.retries = 0
        return registration
    }

    private func failure(_ registration: TemplateRegistration) async -> LXCError? {
        await #expect(throws: LXCError.self) { try await fixture.store.register(registration, progress: nil) }
    }

    // MARK: Secrets

    @Test func noErrorShowsWhatAURLHoldsInSecret() async throws {
        let server = try WebServer(WebServer.File(QcowImage(over: "/etc/passwd").bytes))
        let port = server.url().split(separator: ":").last.map { $0.prefix { $0.isNumber } } ?? ""
        for source in [
            "http://alice:s3cr3t@127.0.0.1:\(port)/evil.qcow2?token=s3cr3t", "http:/alice:s3cr3t@127.0.0.1/x",
            "nfs://alice:s3cr3t@127.0.0.1/x/y.tar", "nfs://127.0.0.1/x/y.tar?key=s3cr3t",
            "ftp://alice:s3cr3t@127.0.0.1/x",
            "http://alice:s3cr3t@127.0.0.1:99999/x", "http://alice:s3cr/3t@127.0.0.1/s3cr3t",
        ] {
            let registration = registration(source)
            let error = await failure(registration)
            var told = ""
            dump(registration, to: &told)
            told += "\(registration) \(String(reflecting: error)) \(error?.message ?? "")"
            #expect(!told.contains("s3cr"), "\(source): \(told)")
        }
        #expect(fixture.files.isEmpty)
    }

    // MARK: Redirects

    @Test(arguments: [301, 302, 303, 307, 308]) func redirectsAreFollowed(_ status: Int) async throws {
        let file = WebServer.File(try fixture.directory.read("plain"))
        let server = try WebServer { request, _ in
            request.path == "/start"
                ? WebServer.Answer(status, fields: ["Location": "../end?a=b"]) : file.answer(request)
        }
        _ = try await fixture.store.register(registration(server.url("/start")), progress: nil)
        #expect(server.requests.map(\.path) == ["/start", "/end?a=b"])
    }

    @Test func redirectsEnd() async throws {
        let server = try WebServer { request, _ in
            WebServer.Answer(302, fields: ["Location": "/next\(request.path.count)"])
        }
        var endless = registration(server.url("/"))
        endless.download.maximumRedirects = 3
        #expect(await failure(endless)?.code == .limitExceeded)
        #expect(server.requests.count == 4)
        #expect(fixture.files.isEmpty)
    }

    @Test(arguments: ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/x", "http://", "data:,x"])
    func redirectsToAnythingElseAreRefused(_ location: String) async throws {
        let server = try WebServer { _, _ in WebServer.Answer(302, fields: ["Location": location]) }
        #expect(await failure(registration(server.url()))?.code == .corrupt)
        #expect(server.requests.count == 1)
        #expect(fixture.files.isEmpty)
    }

    @Test func encryptionIsNotLeft() throws {
        let secure = try WebAddress(parsing: "https://example.org/a")
        #expect(throws: LXCError.self) { try secure.redirected(to: "http://example.org/a") }
        #expect(try secure.redirected(to: "//other.org/b").text == "https://other.org/b")
        let plain = try WebAddress(parsing: "http://example.org/a")
        #expect(try plain.redirected(to: "https://example.org/b").isSecure)
    }

    // MARK: Credentials

    @Test func credentialsGoToTheirHostAlone() throws {
        let address = try WebAddress(parsing: "https://user:p%40ss@example.org:444/a?token=t#fragment")
        #expect(address.credentials == .init(user: "user", password: "p@ss"))
        #expect(address.text == "https://example.org:444/a?token=t")
        #expect(address.shown == "https://example.org:444/a?…")
        #expect(try address.redirected(to: "/b").credentials == address.credentials)
        #expect(try address.redirected(to: "https://EXAMPLE.org:444/b").credentials == address.credentials)
        for other in ["https://example.org/b", "https://example.com:444/b", "https://a:b@example.com/", "//x.org"] {
            #expect(try address.redirected(to: other).credentials == nil, "\(other)")
        }
    }

    @Test func credentialsAreSentAndNotShown() async throws {
        let file = WebServer.File(try fixture.directory.read("plain"))
        let elsewhere = try WebServer(file)
        let target = elsewhere.url("/x")
        let server = try WebServer { _, _ in WebServer.Answer(302, fields: ["Location": target]) }
        let lines = Mutex("")
        let store = LocalSecondaryStorage(
            path: fixture.store.path,
            logger: CollectingHandler.logger { line in
                lines.withLock { $0 += line }
            })
        let source = "http://me:secret@127.0.0.1:\(server.port)/a?signature=hidden"
        var registration = registration(source)
        _ = try await store.register(registration, progress: nil)
        #expect(server.requests.first?["authorization"] == "Basic " + Data("me:secret".utf8).base64EncodedString())
        #expect(elsewhere.requests.count == 1)
        #expect(elsewhere.requests.first?["authorization"] == nil)
        let files = try fixture.files.map {
            String(decoding: try fixture.directory.read("secondary/\($0)"), as: UTF8.self)
        }
        server.stop()
        registration.key.id = 11
        let error = await failure(registration)
        for text in files + [lines.withLock { $0 }, error?.description ?? "secret"] {
            #expect(!text.contains("secret") && !text.contains("hidden"))
        }
        #expect(lines.withLock { $0 }.contains("127.0.0.1"))
    }

    @Test func nothingOfCredentialsIsInTheRecord() async throws {
        let file = WebServer.File(try fixture.directory.read("plain"))
        let server = try WebServer { request, _ in
            var answer = file.answer(request)
            answer.cutAfter = 5000
            return answer
        }
        let source = "http://me:secret@127.0.0.1:\(server.port)/a?signature=hidden"
        #expect(await failure(registration(source))?.code == .unavailable)
        let record = String(
            decoding: try fixture.directory.read("secondary/template/tmpl/1/.10.download/download.json"), as: UTF8.self)
        #expect(record.contains("127.0.0.1") && !record.contains("secret") && !record.contains("hidden"))
    }

    // MARK: Addresses

    @Test(arguments: [
        "http://127.0.0.1:PORT/", "http://localhost:PORT/", "http://[::1]:PORT/", "http://0.0.0.0:PORT/",
        "http://127.1:PORT/", "http://2130706433:PORT/", "http://0x7f.0.0.1:PORT/", "http://[::ffff:127.0.0.1]:PORT/",
        "http://[::]:PORT/", "http://10.0.0.1/", "http://169.254.169.254/latest/meta-data/", "http://[fe80::1]/",
        "http://[fd00::1]/", "http://224.0.0.1/", "http://255.255.255.255/",
    ])
    func privateAddressesAreRefusedWhateverTheyAreCalled(_ url: String) async throws {
        let server = try WebServer(WebServer.File([1]))
        let source = url.replacingOccurrences(of: "PORT", with: "\(server.port)")
        let error = await failure(registration(source, allowed: false))
        #expect(error?.code == .unsafe, "\(error?.description ?? "")")
        #expect(server.requests.isEmpty)
        #expect(fixture.files.isEmpty)
    }

    @Test(
        arguments: [
            ([127, 0, 0, 1], "loopback"), ([127, 255, 255, 255], "loopback"), ([10, 1, 2, 3], "private"),
            ([172, 16, 0, 1], "private"), ([172, 31, 255, 255], "private"), ([192, 168, 0, 1], "private"),
            ([169, 254, 169, 254], "link-local"), ([0, 0, 0, 0], "unspecified"), ([100, 64, 0, 1], "shared"),
            ([224, 0, 0, 1], "multicast"), ([255, 255, 255, 255], "reserved"), ([198, 19, 0, 1], "benchmarks"),
        ] as [([UInt8], String)])
    func refusedAddresses(_ address: [UInt8], _ reason: String) {
        #expect(AddressRules.refusal(of: address)?.contains(reason) == true)
        // The same in the ways an address of version 6 can carry it.
        let zeros = [UInt8](repeating: 0, count: 10)
        #expect(AddressRules.refusal(of: zeros + [0xFF, 0xFF] + address) != nil)
        #expect(AddressRules.refusal(of: zeros + [0, 0] + address) != nil)
        #expect(AddressRules.refusal(of: [0, 0x64, 0xFF, 0x9B, 0, 0, 0, 0, 0, 0, 0, 0] + address) != nil)
        #expect(AddressRules.refusal(of: [0x20, 0x02] + address + zeros) != nil)
    }

    @Test(
        arguments: [
            [1, 1, 1, 1], [9, 255, 255, 255], [11, 0, 0, 0], [172, 15, 0, 1], [172, 32, 0, 1], [192, 167, 0, 1],
            [100, 128, 0, 1], [126, 0, 0, 1], [128, 0, 0, 1], [223, 255, 255, 255], [198, 20, 0, 1],
        ] as [[UInt8]])
    func otherAddressesAreNot(_ address: [UInt8]) {
        #expect(AddressRules.refusal(of: address) == nil)
        #expect(AddressRules.refusal(of: [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF] + address) == nil)
    }

    @Test(arguments: [
        ("::", "unspecified"), ("::1", "loopback"), ("fe80::1", "link-local"), ("febf::1", "link-local"),
        ("fec0::1", "site-local"), ("fc00::1", "unique-local"), ("fdff::1", "unique-local"), ("ff02::1", "multicast"),
        ("2001:db8::1", "documentation"), ("2001::1", "reserved"), ("64:ff9b:1::1", "reserved"), ("100::1", "reserved"),
        ("4000::1", "reserved"),
    ])
    func refusedAddressesOfVersion6(_ text: String, _ reason: String) throws {
        #expect(AddressRules.refusal(of: try bytes(text))?.contains(reason) == true)
    }

    @Test(arguments: ["2606:4700::1111", "2a00:1450::1", "2001:4860:4860::8888", "64:ff9b::101:101", "2002:101:101::"])
    func otherAddressesOfVersion6AreNot(_ text: String) throws {
        #expect(AddressRules.refusal(of: try bytes(text)) == nil)
    }

    private func bytes(_ text: String) throws -> [UInt8] {
        var address = in6_addr()
        try #require(inet_pton(AF_INET6, text, &address) == 1)
        return withUnsafeBytes(of: address) { Array($0) }
    }

    // MARK: Waiting

    @Test func waitsGrowAndAreBounded() {
        let policy = RetryPolicy(base: .seconds(1))
        let waits = [1, 2, 3, 7, 100].map { policy.delay(before: $0, asked: nil, chance: 0) }
        #expect(waits == [1, 2, 4, 60, 60].map { .seconds($0) })
        #expect(policy.delay(before: 2, asked: nil, chance: 1) == .seconds(1))
        #expect(policy.delay(before: 1, asked: .seconds(30), chance: 0) == .seconds(30))
        #expect(policy.delay(before: 1, asked: .seconds(9999), chance: 0) == .seconds(120))
    }

    @Test(arguments: [
        ("7", Duration.seconds(7)), ("0", .zero), ("-1", nil), ("soon", nil), ("", nil),
        ("Thu, 01 Jan 1970 00:01:40 GMT", .seconds(60)), ("Thu, 01 Jan 1970 00:00:01 GMT", .zero),
        ("99999999", .seconds(86_400)),
    ])
    func retryAfterIsRead(_ field: String, _ wait: Duration?) {
        #expect(RetryPolicy.wait(field, now: Date(timeIntervalSince1970: 40)) == wait)
    }
}

/// Hands every line to a closure.
private struct CollectingHandler: LogHandler {
    let take: @Sendable (String) -> Void
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    static func logger(_ take: @escaping @Sendable (String) -> Void) -> Logger {
        Logger(label: "test") { _ in CollectingHandler(take: take) }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { take("\(event.message) \(event.metadata ?? [:])\n") }
}
