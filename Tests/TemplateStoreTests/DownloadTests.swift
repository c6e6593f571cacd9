// SPDX-License-Identifier: Apache-2.0

import FileTree
import Foundation
import LXCCore
import Synchronization
import TemplateStore
import TestSupport
import Testing

/// Archives from a web server: whole, interrupted, changed in between, too large, refused.
@Suite(.limited)
struct DownloadTests {
    private let fixture: DownloadFixture

    init() throws { fixture = try DownloadFixture() }

    // MARK: Whole

    @Test func anArchiveIsDownloadedOnce() async throws {
        let server = try WebServer(WebServer.File(fixture.archive))
        var registration = fixture.registration(server)
        registration.checksum = try fixture.checksum()
        let progress = Mutex<[TransferProgress]>([])
        let template = try await fixture.storage.store.register(registration) { event in
            progress.withLock { $0.append(event) }
        }
        #expect(server.requests.count == 1)
        #expect(server.requests.first?["range"] == nil)
        #expect(fixture.storage.directory.list("secondary/template/tmpl/1") == ["10"])
        #expect(fixture.storage.names == [template.fileName, "template.properties"].sorted())
        let size = ByteCount(UInt64(fixture.archive.count))
        #expect(progress.withLock { $0 }.contains(TransferProgress(transferred: size, total: size)))
        try await fixture.storage.store.verify(fixture.storage.key, progress: nil)
    }

    @Test(arguments: ["bzip2", "xz", "zstd", "cat"]) func compressionIsToldByContent(_ program: String) async throws {
        let bytes = try fixture.storage.directory.read(
            program == "cat"
                ? "plain" : String(fixture.storage.compressed(by: program).split(separator: "/").last ?? ""))
        let server = try WebServer(WebServer.File(bytes))
        _ = try await fixture.storage.store.register(fixture.registration(server, "/download?id=7"), progress: nil)
        try await fixture.storage.store.verify(fixture.storage.key, progress: nil)
    }

    @Test func aBodyOfUnknownLengthIsTakenToItsEnd() async throws {
        let archive = fixture.archive
        let server = try WebServer { request, _ in
            var answer = WebServer.File(archive).answer(request)
            answer.tellsLength = false
            return answer
        }
        _ = try await fixture.storage.store.register(fixture.registration(server), progress: nil)
        try await fixture.storage.store.verify(fixture.storage.key, progress: nil)
    }

    // MARK: Interrupted

    @Test func anInterruptedDownloadGoesOnWhereItEnded() async throws {
        let server = try fixture.failing(after: [200_000, 100_000])
        var registration = fixture.registration(server)
        registration.checksum = try fixture.checksum()
        _ = try await fixture.storage.store.register(registration, progress: nil)
        #expect(server.requests.map { $0["range"] } == [nil, "bytes=200000-", "bytes=300000-"])
        #expect(server.requests.dropFirst().allSatisfy { $0["if-range"] == "\"one\"" })
        try await fixture.storage.store.verify(fixture.storage.key, progress: nil)
    }

    @Test func theDateTellsCopiesApartWhereThereIsNoTag() async throws {
        let date = "Thu, 18 Jul 2013 11:22:33 GMT"
        for tag in [nil, "W/\"weak\""] {
            let server = try fixture.failing(after: [200_000]) { file, _ in
                file.entityTag = tag
                file.lastModified = date
            }
            _ = try await fixture.storage.store.register(fixture.registration(server), progress: nil)
            #expect(server.requests.last?["range"] == "bytes=200000-")
            #expect(server.requests.last?["if-range"] == date)
            try await fixture.storage.store.delete(fixture.storage.key)
        }
    }

    @Test func withoutAnythingToTellCopiesByItStartsAgain() async throws {
        let server = try fixture.failing(after: [200_000, 300_000]) { file, _ in file.entityTag = nil }
        _ = try await fixture.storage.store.register(fixture.registration(server), progress: nil)
        #expect(server.requests.map { $0["range"] } == [nil, nil, nil])
        try await fixture.storage.store.verify(fixture.storage.key, progress: nil)
    }

    @Test func aServerWithoutRangesSendsItAllAgain() async throws {
        let server = try fixture.failing(after: [200_000]) { file, _ in file.servesRanges = false }
        _ = try await fixture.storage.store.register(fixture.registration(server), progress: nil)
        #expect(server.requests.count == 2)
        try await fixture.storage.store.verify(fixture.storage.key, progress: nil)
    }

    @Test func anotherCopyStartsFromZero() async throws {
        let (archive, other) = (fixture.archive, try fixture.storage.directory.read("plain"))
        let server = try WebServer { request, number in
            var answer = WebServer.File(number == 0 ? archive : other, entityTag: "\"\(number)\"").answer(request)
            if number == 0 { answer.cutAfter = 200_000 }
            return answer
        }
        let template = try await fixture.storage.store.register(fixture.registration(server), progress: nil)
        #expect(server.requests.map { $0["range"] } == [nil, "bytes=200000-"])
        #expect(template.size.bytes == UInt64(other.count))
        try await fixture.storage.store.verify(fixture.storage.key, progress: nil)
    }

    /// Servers that send a part of another copy, or another part than was asked for.
    @Test(arguments: ["tag", "new tag", "date", "start", "total", "no total", "range"]) func aWrongPartStartsFromZero(
        _ what: String
    ) async throws {
        let archive = fixture.archive
        let server = try WebServer { request, number in
            var answer = WebServer.File(archive).answer(request)
            if number == 0 { answer.cutAfter = 200_000 }
            guard number == 1 else { return answer }
            switch what {
            case "tag": answer.fields["ETag"] = "\"two\""
            case "new tag": answer.fields["ETag"] = "W/\"one\""
            case "date": answer.fields["Last-Modified"] = "Tue, 02 Jan 2024 00:00:00 GMT"
            case "no total": answer.fields["Content-Range"] = "bytes 200000-\(archive.count - 1)/*"
            case "start": answer.fields["Content-Range"] = "bytes 199999-\(archive.count - 1)/\(fixture.archive.count)"
            case "total": answer.fields["Content-Range"] = "bytes 200000-\(archive.count - 1)/\(archive.count + 1)"
            default: return WebServer.Answer(416, fields: ["Content-Range": "bytes */7"])
            }
            return answer
        }
        var registration = fixture.registration(server)
        registration.checksum = try fixture.checksum()
        _ = try await fixture.storage.store.register(registration, progress: nil)
        #expect(server.requests.map { $0["range"] } == [nil, "bytes=200000-", nil])
        try await fixture.storage.store.verify(fixture.storage.key, progress: nil)
    }

    /// Only the date tells the two copies apart, and the server sends the part of another as if it was asked for it.
    @Test func twoCopiesAreNeverPutTogether() async throws {
        let (archive, other) = (fixture.archive, [UInt8](repeating: 7, count: fixture.archive.count))
        let server = try WebServer { request, number in
            let date = number == 1 ? "Tue, 02 Jan 2024 00:00:00 GMT" : "Mon, 01 Jan 2024 00:00:00 GMT"
            let file = WebServer.File(number == 1 ? other : archive, entityTag: nil, lastModified: date)
            var request = request
            request.fields["if-range"] = nil
            var answer = file.answer(request)
            if number == 0 { answer.cutAfter = 200_000 }
            return answer
        }
        _ = try await fixture.storage.store.register(fixture.registration(server), progress: nil)
        #expect(server.requests.map { $0["range"] } == [nil, "bytes=200000-", nil])
        try await fixture.storage.store.verify(fixture.storage.key, progress: nil)
    }

    @Test func aTransferOfUnknownEndSaysSo() async throws {
        let archive = fixture.archive
        let server = try WebServer { request, _ in
            var answer = WebServer.File(archive).answer(request)
            answer.tellsLength = false
            return answer
        }
        var registration = fixture.registration(server)
        let template = try await fixture.storage.store.register(registration, progress: nil)
        #expect(template.warnings.map(\.kind).contains(.unverifiedLength))
        #expect(try await fixture.storage.store.template(fixture.storage.key).warnings == template.warnings)
        try await fixture.storage.store.delete(fixture.storage.key)
        registration.checksum = try fixture.checksum()
        let checked = try await fixture.storage.store.register(registration, progress: nil)
        #expect(!checked.warnings.map(\.kind).contains(.unverifiedLength))
    }

    /// A full disk, or a limit that is raised afterwards: what has come need not come again.
    @Test func aFinishedDownloadOutlivesErrorsThatMayPass() async throws {
        let server = try WebServer(WebServer.File(fixture.archive))
        var registration = fixture.registration(server)
        registration.limits.entries = 1
        let limited = registration
        await expect(.limitExceeded) { try await fixture.storage.store.register(limited, progress: nil) }
        #expect(fixture.storage.directory.list("secondary/template/tmpl/1") == [".10.download"])
        registration.limits = TreeLimits()
        _ = try await fixture.storage.store.register(registration, progress: nil)
        #expect(server.requests.map { $0["range"] } == [nil, "bytes=\(fixture.archive.count - 1)-"])
        #expect(fixture.storage.directory.list("secondary/template/tmpl/1") == ["10"])
        try await fixture.storage.store.verify(fixture.storage.key, progress: nil)
    }

    @Test func whatNobodyWentOnWithIsRemovedInTheEnd() async throws {
        let directory = fixture.storage.directory
        for name in [".11.download", ".12.download", ".x.download"] {
            try directory.write("part", to: "secondary/template/tmpl/1/\(name)/archive")
        }
        let old = Date(timeIntervalSinceNow: -8 * 86_400)
        for name in [".11.download", ".x.download"] {
            try FileManager.default.setAttributes(
                [.modificationDate: old], ofItemAtPath: directory["secondary/template/tmpl/1/\(name)/archive"])
        }
        let server = try WebServer(WebServer.File(fixture.archive))
        _ = try await fixture.storage.store.register(fixture.registration(server), progress: nil)
        #expect(directory.list("secondary/template/tmpl/1") == [".12.download", ".x.download", "10"])
    }

    @Test func whatIsThereIsUsedByTheNextRegistration() async throws {
        let server = try fixture.failing(after: [200_000])
        var registration = fixture.registration(server)
        registration.download.retries = 0
        registration.checksum = try fixture.checksum()
        await expect(.unavailable) { try await fixture.storage.store.register(registration, progress: nil) }
        #expect(fixture.storage.directory.list("secondary/template/tmpl/1") == [".10.download"])
        #expect(try await fixture.storage.store.list() == TemplateListing())
        _ = try await fixture.storage.store.register(registration, progress: nil)
        #expect(server.requests.map { $0["range"] } == [nil, "bytes=200000-"])
        #expect(fixture.storage.directory.list("secondary/template/tmpl/1") == ["10"])
        try await fixture.storage.store.verify(fixture.storage.key, progress: nil)
    }

    @Test func whatIsThereOfAnotherURLIsNotUsed() async throws {
        let server = try fixture.failing(after: [200_000])
        var registration = fixture.registration(server)
        registration.download.retries = 0
        await expect(.unavailable) { try await fixture.storage.store.register(registration, progress: nil) }
        registration.source = Locator(server.url("/other.tar.gz"))
        _ = try await fixture.storage.store.register(registration, progress: nil)
        #expect(server.requests.map { $0["range"] } == [nil, nil])
    }

    @Test func damagedBytesFromBeforeAreFetchedAgain() async throws {
        let server = try fixture.failing(after: [200_000])
        var registration = fixture.registration(server)
        registration.download.retries = 0
        registration.checksum = try fixture.checksum()
        await expect(.unavailable) { try await fixture.storage.store.register(registration, progress: nil) }
        let partial = "secondary/template/tmpl/1/.10.download/archive"
        var bytes = try fixture.storage.directory.read(partial)
        bytes[1000] ^= 1
        try fixture.storage.directory.write(bytes, to: partial)
        _ = try await fixture.storage.store.register(registration, progress: nil)
        #expect(server.requests.map { $0["range"] } == [nil, "bytes=200000-", nil])
        try await fixture.storage.store.verify(fixture.storage.key, progress: nil)
    }

    @Test func aDeletionRemovesWhatThereIsOfADownload() async throws {
        let server = try fixture.failing(after: [200_000])
        var registration = fixture.registration(server)
        registration.download.retries = 0
        _ = try? await fixture.storage.store.register(registration, progress: nil)
        try await fixture.storage.store.delete(fixture.storage.key)
        fixture.expectNothing()
    }

    @Test func aCancelledDownloadIsResumed() async throws {
        let archive = fixture.archive
        let server = try WebServer { request, number in
            var answer = WebServer.File(archive).answer(request)
            answer.pause = number == 0 ? .seconds(2) : .zero
            return answer
        }
        let registration = fixture.registration(server)
        let received = Mutex<UInt64>(0)
        let registering = Task {
            try await fixture.storage.store.register(registration) { progress in
                received.withLock { $0 = progress.transferred.bytes }
            }
        }
        while received.withLock({ $0 }) == 0 { try await Task.sleep(for: .milliseconds(10)) }
        registering.cancel()
        await #expect(throws: CancellationError.self) { try await registering.value }
        _ = try await fixture.storage.store.register(registration, progress: nil)
        #expect(server.requests.last?["range"] != nil)
        try await fixture.storage.store.verify(fixture.storage.key, progress: nil)
    }
}
