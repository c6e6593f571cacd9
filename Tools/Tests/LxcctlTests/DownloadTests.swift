// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Testing
import _LXCTestServers

/// Templates from a web server, and what is left of a registration that was killed.
@Suite(.timeLimit(.minutes(15)), .host(.root)) struct DownloadTests {
    private let scratch: Scratch
    private let secondary: [String]
    private let archive: [UInt8]
    private let sum: String

    init() async throws {
        scratch = try Scratch()
        secondary = ["--secondary", try scratch.makeDirectory("secondary")]
        _ = try await scratch.makeRoot()
        try await host("/bin/sh", "-c", "head -c 4M /dev/urandom > '\(scratch["root/noise"])'")
        let path = try await scratch.pack("root", to: "root.tar.gz")
        archive = try Array(Data(contentsOf: URL(filePath: path)))
        sum = "{SHA-256}" + (try await host("/usr/bin/sha256sum", path).prefix(64))
    }

    private func arguments(_ source: String, _ more: String...) -> [String] {
        [
            "template", "register", source, "--account", "1", "--id", "10", "--name", "small",
            "--allow-private-addresses",
        ]
            + secondary + more
    }

    /// A server that takes about two seconds for the archive.
    private func slowServer() throws -> WebServer {
        let archive = archive
        return try WebServer { request, _ in
            var answer = WebServer.File(archive).answer(request)
            answer.pause = .milliseconds(30)
            return answer
        }
    }

    private var downloaded: Int {
        let path = scratch["secondary/template/tmpl/1/.10.download/archive"]
        return (try? FileManager.default.attributesOfItem(atPath: path)[.size] as? Int) ?? 0
    }

    private func expectOneTemplate(_ location: SourceLocation = #_sourceLocation) async throws {
        #expect(try await Lxcctl.run(["template", "verify", "1/10"] + secondary).status == 0, sourceLocation: location)
        let list = try await Lxcctl.run(["template", "list", "--json"] + secondary).json()
        #expect(list["templates"].count == 1 && list["broken"].count == 0, sourceLocation: location)
        #expect(scratch.list("secondary/template/tmpl/1") == ["10"], sourceLocation: location)
    }

    @Test func aKilledRegistrationIsResumed() async throws {
        let server = try slowServer()
        let program = try RunningProgram(Lxcctl.path, arguments(server.url(), "--checksum", sum))
        #expect(await eventually { downloaded > archive.count / 3 })
        program.signal(SIGKILL)
        #expect(await program.outcome().status == -SIGKILL)
        let left = downloaded
        #expect(left < archive.count)
        let list = try await Lxcctl.run(["template", "list", "--json"] + secondary).json()
        #expect(list == .object(["templates": .list([]), "broken": .list([])]))

        #expect(try await Lxcctl.run(arguments(server.url(), "--checksum", sum)).status == 0)
        #expect(server.requests.map { $0["range"] } == [nil, "bytes=\(left)-"])
        try await expectOneTemplate()
    }

    @Test(arguments: [SIGINT, SIGTERM]) func anInterruptedRegistrationIsResumed(_ signal: Int32) async throws {
        let server = try slowServer()
        let program = try RunningProgram(
            "/usr/bin/env", ["--default-signal", Lxcctl.path] + arguments(server.url(), "--checksum", sum))
        #expect(await eventually { downloaded > 0 })
        program.signal(signal)
        await program.outcome().expectFailure(naming: ["interrupted"])
        #expect(try await Lxcctl.run(arguments(server.url(), "--checksum", sum)).status == 0)
        #expect(server.requests.count == 2 && server.requests.last?["range"] != nil)
        try await expectOneTemplate()
    }

    /// Killed again and again, at other moments each time, until one is not.
    @Test func killedAtAnyMomentItIsOldOrNew() async throws {
        let server = try slowServer()
        for step in 0..<10 {
            let program = try RunningProgram(Lxcctl.path, arguments(server.url(), "--checksum", sum))
            try await Task.sleep(for: .milliseconds(40 + 330 * step))
            program.signal(SIGKILL)
            let outcome = await program.outcome()
            let list = try await Lxcctl.run(["template", "list", "--json"] + secondary).json()
            #expect(list["broken"].count == 0)
            // Each goes on where the one before was killed, so one of them may come to the end.
            guard list["templates"].count == 1 else {
                #expect(outcome.status == -SIGKILL, "\(outcome.stderr)")
                continue
            }
            try await expectOneTemplate()
            _ = try await Lxcctl.run(["template", "delete", "1/10"] + secondary)
        }
        _ = try await Lxcctl.run(["template", "delete", "1/10"] + secondary)
        #expect(scratch.list("secondary/template/tmpl/1") == [])
        #expect(try await Lxcctl.run(arguments(server.url(), "--checksum", sum)).status == 0)
        try await expectOneTemplate()
    }

    @Test func twoProgramsDownloadOnce() async throws {
        let server = try slowServer()
        let programs = try (0..<2).map { _ in
            try RunningProgram(Lxcctl.path, arguments(server.url(), "--checksum", sum, "--json"))
        }
        var templates: Set<JSON> = []
        for program in programs { templates.insert(try await program.outcome().json()) }
        #expect(templates.count == 1)
        #expect(server.requests.count == 1)
        try await expectOneTemplate()
    }

    @Test func aWaitingProgramTakesOverFromAKilledOne() async throws {
        let server = try slowServer()
        let first = try RunningProgram(Lxcctl.path, arguments(server.url(), "--checksum", sum))
        #expect(await eventually { downloaded > 0 })
        let second = try RunningProgram(Lxcctl.path, arguments(server.url(), "--checksum", sum))
        try await Task.sleep(for: .milliseconds(300))
        first.signal(SIGKILL)
        #expect(await first.outcome().status == -SIGKILL)
        #expect(await second.outcome().status == 0)
        #expect(server.requests.count == 2 && server.requests.last?["range"] != nil)
        try await expectOneTemplate()
    }

    // MARK: Refusals

    @Test func aWrongChecksumLeavesNothing() async throws {
        let server = try WebServer(WebServer.File(archive))
        try await Lxcctl.fails(
            arguments(server.url(), "--checksum", "00000000000000000000000000000000"), naming: ["checksum"])
        #expect(scratch.list("secondary/template/tmpl/1") == [])
    }

    @Test func refusals() async throws {
        let server = try WebServer { _, _ in WebServer.Answer(404) }
        try await Lxcctl.fails(arguments(server.url()), naming: ["404", server.url()])
        let closed = arguments(server.url()).filter { $0 != "--allow-private-addresses" }
        try await Lxcctl.fails(closed, naming: ["loopback", "private"])
        try await Lxcctl.fails(arguments("http://user:secret@127.0.0.1:\(server.port)/x?token=secret"), naming: ["404"])
        #expect(server.requests.count == 2)
        let usage = try await Lxcctl.run(arguments(server.url(), "--max-size", "large"))
        #expect(usage.status == 64)
        #expect(try await Lxcctl.run(arguments(server.url(), "--retries", "-1")).status == 64)
        #expect(scratch.list("secondary/template/tmpl/1") == [])
    }

    @Test func sizesAndRetriesAreGiven() async throws {
        let server = try WebServer(WebServer.File(archive))
        try await Lxcctl.fails(arguments(server.url(), "--max-size", "1MiB"), naming: ["1.0 MiB"])
        let busy = try WebServer { _, _ in WebServer.Answer(503) }
        try await Lxcctl.fails(arguments(busy.url(), "--retries", "1"), naming: ["503"])
        #expect(busy.requests.count == 2)
        #expect(scratch.list("secondary/template/tmpl/1") == [])
    }

    /// The environment must not lead around the check of addresses.
    @Test func proxiesOfTheEnvironmentAreNotUsed() async throws {
        let proxy = try WebServer(WebServer.File(archive))
        let server = try WebServer(WebServer.File(archive))
        let environment = ["http_proxy": proxy.url(""), "all_proxy": proxy.url("")]
        #expect(try await Lxcctl.run(arguments(server.url()), environment: environment).status == 0)
        #expect(proxy.requests.isEmpty)
    }

    // MARK: https

    /// A certificate of our own is refused, and accepted where it is named.
    @Test func certificatesAreChecked() async throws {
        try await host(
            "/usr/bin/openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", scratch["key.pem"], "-out", scratch["certificate.pem"], "-days", "2", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
        // A port that was free a moment ago.
        let port = try WebServer { _, _ in WebServer.Answer(404) }.port
        let server = try RunningProgram(
            "/bin/sh",
            [
                "-c",
                "cd '\(scratch.path)' && exec /usr/bin/openssl s_server -accept 127.0.0.1:\(port) -cert certificate.pem "
                    + "-key key.pem -WWW -quiet",
            ])
        let source = "https://127.0.0.1:\(port)/root.tar.gz"
        var refused = try await Lxcctl.run(arguments(source, "--retries", "0"))
        for _ in 0..<100 where refused.stderr.contains("connect") {
            try await Task.sleep(for: .milliseconds(50))
            refused = try await Lxcctl.run(arguments(source, "--retries", "0"))
        }
        refused.expectFailure(naming: ["certificate"])
        #expect(scratch.list("secondary/template/tmpl/1") == [])
        let trusting = arguments(source, "--ca-certificates", scratch["certificate.pem"], "--checksum", sum)
        let outcome = try await Lxcctl.run(trusting)
        #expect(outcome.status == 0, "\(outcome.stderr)")
        server.signal(SIGTERM)
        _ = await server.outcome()
        try await expectOneTemplate()
    }
}
