// SPDX-License-Identifier: Apache-2.0

import FileTree
import Foundation
import LXCCore
import LXCTesting
import NFSClient
import PrimaryStore
import TemplateStore
import TestSupport
import Testing

/// Secondary storage on a real NFS server.
@Suite(.tags(.host, .nfs), .limited, .host(.root, .nfsServer))
struct NFSSecondaryStorageTests {
    private let fixture: Fixture
    private let server: NFSServer

    /// The fixture's directory is exported: its storage, and the archives beside it.
    init() throws {
        fixture = try Fixture()
        server = try NFSServer(NFSServer.Export(fixture.directory.path))
    }

    private func storage(_ path: String = "/secondary") throws -> NFSSecondaryStorage {
        NFSSecondaryStorage(
            try NFSURL(parsing: server.url(path)), downloads: fixture.directory["downloads"])
    }

    @Test func keepsTheRulesOfStores() async throws {
        let gzip = try fixture.compressed(by: "gzip")
        let bytes = try fixture.directory.read("compressed")
        try fixture.directory.write(Array(bytes.prefix(bytes.count / 2)), to: "damaged")
        let checksum = try Checksum(parsing: "{SHA-256}" + fixture.checksum("sha256sum", of: gzip))
        // From a path of this host, and from the server.
        for place in [fixture.directory.path, server.url("/")] {
            let source = { @Sendable (name: String) in
                let parts = place.split(separator: "?", omittingEmptySubsequences: false)
                return place.hasPrefix("nfs://") ? "\(parts[0])\(name)?\(parts[1])" : "\(place)/\(name)"
            }
            let conformance = TemplateStoreConformance { [fixture] check in
                let name = UUID().uuidString
                try fixture.directory.makeDirectory(name)
                try await check(
                    .init(
                        store: storage("/\(name)"), archive: source("compressed"), checksum: checksum,
                        damagedArchive: source("damaged"), missingArchive: source("missing"),
                        reopen: { [self] _ in try storage("/\(name)") }))
            }
            for check in conformance.checks { try await check.run() }
        }
    }

    /// What one registered the other reads: the layout is the same.
    @Test func theLayoutIsThatOfADirectory() async throws {
        let registered = try await storage().register(fixture.registration(), progress: nil)
        #expect(try await fixture.store.template(fixture.key) == registered)
        try await fixture.store.verify(fixture.key, progress: nil)
        #expect(fixture.directory.list("secondary/template/tmpl/1") == ["10"])
        #expect(fixture.names.sorted() == [registered.fileName, "template.properties"].sorted())
        let local = try fixture.directory.read("secondary/template/tmpl/1/10/\(registered.fileName)")
        #expect(try local == fixture.directory.read("plain"))
        try await fixture.store.delete(fixture.key)

        let other = try await fixture.store.register(fixture.registration(), progress: nil)
        #expect(try await storage().template(fixture.key) == other)
        try await storage().verify(fixture.key, progress: nil)
    }

    /// From a server, over a server, to a server; nothing of it on this host's disk.
    @Test func aTemplateComesToPrimaryStorageWithoutThisHostsDisk() async throws {
        _ = try fixture.compressed(by: "zstd")
        let storage = try storage()
        let template = try await storage.register(
            fixture.registration(server.url("/compressed")), progress: nil)
        try fixture.directory.makeDirectory("primary")
        let primary = try await NFSStore.create(at: NFSURL(parsing: server.url("/primary")))
        let installed = try await primary.installTemplate(
            .random(), from: storage.contents(of: fixture.key), expecting: template.digest, limits: TreeLimits(),
            progress: nil)
        #expect(installed.digest == template.digest)
        #expect(!fixture.directory.exists("downloads"))
        #expect(fixture.directory.exists("primary/\(installed.id)/etc/hostname"))
    }

    @Test func aChangedTarIsSeen() async throws {
        let storage = try storage()
        let template = try await storage.register(fixture.registration(), progress: nil)
        let name = "secondary/template/tmpl/1/10/\(template.fileName)"
        var bytes = try fixture.directory.read(name)
        let place = try #require(bytes.firstRange(of: Array("binary".utf8))?.lowerBound)
        bytes[place] = UInt8(ascii: "B")
        // As a client does it: the server would not see its own directory change behind its back.
        let client = try await NFSClient.connect(to: NFSURL(parsing: server.url("/secondary/template/tmpl/1/10")))
        let file = try await client.lookUp(template.fileName.utf8, in: client.root)
        try await client.write(SharedBytes(copying: bytes), to: file.handle, at: 0, .file)
        await expect(.corrupt) { try await storage.verify(fixture.key, progress: nil) }
    }

    /// Each with a connection of its own.
    @Test func severalRegisterTheSameOnce() async throws {
        let templates = try await withThrowingTaskGroup(of: Template.self) { group in
            for _ in 0..<6 {
                group.addTask { try await storage().register(fixture.registration(), progress: nil) }
            }
            return try await group.reduce(into: Set()) { $0.insert($1) }
        }
        #expect(templates.count == 1)
        #expect(fixture.directory.list("secondary/template/tmpl/1") == ["10"])
    }

    @Test func leftoversOfKilledRegistrationsGo() async throws {
        let boot = try String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)
            .trimmingCharacters(in: .whitespacesAndNewlines)
        let account = "secondary/template/tmpl/1"
        try fixture.directory.write("half", to: "\(account)/.10.0123456789abcdef/x.tar")
        try fixture.directory.write("half", to: "\(account)/.100.0123456789abcdef/x.tar")
        // A pid beyond those the kernel gives out.
        try fixture.directory.write("\(boot) 99999999 1\n", to: "\(account)/.10.lock.x")
        _ = try await storage().register(fixture.registration(), progress: nil)
        #expect(fixture.directory.list(account) == [".100.0123456789abcdef", "10"])
    }

    /// A lock that became another's while the template was built keeps it from being published.
    @Test func aLostLockIsSeenBeforeTheTemplateAppears() async throws {
        let fixture = try DownloadFixture()
        try fixture.storage.directory.makeDirectory("export")
        let server = try NFSServer(NFSServer.Export(fixture.storage.directory["export"]))
        let (asked, signal) = AsyncStream<Void>.makeStream()
        let stolen = DispatchSemaphore(value: 0)
        let file = WebServer.File(fixture.archive)
        let web = try WebServer { request, _ in
            signal.finish()
            stolen.wait()
            return file.answer(request)
        }
        let client = try await NFSClient.connect(to: NFSURL(parsing: server.url()))
        let storage = NFSSecondaryStorage(
            try NFSURL(parsing: server.url()), downloads: fixture.storage.directory["downloads"])
        let registration = Task { try await storage.register(fixture.registration(web), progress: nil) }
        for await _ in asked {}
        let account = try #require(try await client.find(TreePath("template/tmpl/1"))).handle
        try await client.remove(".10.lock.x".utf8, in: account)
        _ = try await client.create(".10.lock.x".utf8, in: account, .exclusive(1))
        stolen.signal()
        await expect(.inUse) { try await registration.value }
        try await client.remove(".10.lock.x".utf8, in: account)
        #expect(try await storage.list() == TemplateListing())
    }

    @Test func anInterruptedDownloadIsResumed() async throws {
        let fixture = try DownloadFixture()
        try fixture.storage.directory.makeDirectory("export")
        let server = try NFSServer(NFSServer.Export(fixture.storage.directory["export"]))
        let downloads = fixture.storage.directory["downloads"]
        let storage = NFSSecondaryStorage(try NFSURL(parsing: server.url()), downloads: downloads)
        let web = try fixture.failing(after: [200_000])
        var registration = fixture.registration(web)
        registration.checksum = try fixture.checksum()
        registration.download.retries = 0
        await expect(.unavailable) { try await storage.register(registration, progress: nil) }
        #expect(try await storage.list() == TemplateListing())
        #expect(fixture.storage.directory.list("downloads").count == 1)
        _ = try await storage.register(registration, progress: nil)
        #expect(web.requests.last?["range"] == "bytes=200000-")
        #expect(fixture.storage.directory.list("downloads").isEmpty)
    }

    @Test func whatCannotBeUsedIsSaid() async throws {
        await expect(.notFound) { try await storage("/missing").list() }
        var options = NFSClientOptions()
        options.giveUp = .seconds(1)
        let away = NFSSecondaryStorage(
            try NFSURL(parsing: "nfs://\(server.address)/export?nfsport=1&mountport=1"), options: options)
        await expect(.unavailable) { try await away.list() }
        let source = server.url("/secondary")
        await expect(.invalidArgument) { try await storage().register(fixture.registration(source), progress: nil) }
    }

    /// NFSv4 cannot hold the locks, and needs none to read.
    @Test func overVersion4ItIsRead() async throws {
        let template = try await storage().register(fixture.registration(), progress: nil)
        let url = try NFSURL(parsing: "nfs://\(server.address)/export/secondary?version=4")
        let storage = NFSSecondaryStorage(url)
        #expect(try await storage.list() == TemplateListing(templates: [template]))
        try await storage.verify(fixture.key, progress: nil)
        await expect(.unsupported) { try await storage.delete(fixture.key) }
        await expect(.unsupported) { try await NFSStore(url) }
        #expect(try await storage.template(fixture.key) == template)
        let source = "nfs://\(server.address)/export/plain?version=4"
        var registration = fixture.registration(source)
        registration.key.id = 11
        #expect(try await self.storage().register(registration, progress: nil).digest == template.digest)
    }
}
