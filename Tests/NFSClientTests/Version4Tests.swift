// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
import NFSClient
import TarArchive
import TestSupport
import Testing

/// NFSv4, against a server that speaks nothing else.
@Suite(.tags(.host, .nfs), .limited, .host(.root, .nfsServer)) struct Version4Tests {
    private let export: Export

    init() throws { export = try Export { $0.protocols = "4" } }

    private func url(_ path: String = "", port: UInt16? = nil) throws -> NFSURL {
        let place = port.map { "127.0.0.1:\($0)" } ?? export.server.address
        return try NFSURL(parsing: "nfs://\(place)/export\(path)?version=4")
    }

    private func tree(_ name: String) throws -> NFSTree { NFSTree(try url("/\(name)")) }

    private func digest(_ origin: any TreeOrigin) async throws -> TreeDigest? {
        try await TreeCopy.examine(origin, options: NFSTreeTests.portable).digest
    }

    /// The sequence of one of everything.
    @Test func everyCallDoesWhatItSays() async throws {
        let client = try await NFSClient.connect(to: url())
        let root = client.root
        #expect(client.rootAttributes.type == .directory)
        #expect(client.information.hasHardLinks && client.information.hasSymbolicLinks)
        #expect(try await client.statistics().totalBytes > 0)

        let time = Timestamp(seconds: 1_600_000_000, nanoseconds: 123_456_789)
        let new = NFSNewAttributes(mode: 0o640, user: 1_234, group: 2_345, modified: .at(time))
        let file = try await client.create("file".utf8, in: root, .guarded(new)).handle
        await expect(.alreadyExists) { try await client.create("file".utf8, in: root, .guarded(new)) }
        let made = try await client.attributes(of: file)
        #expect(made.type == .file && made.mode == 0o640 && made.user == 1_234 && made.group == 2_345)
        let bytes = (0..<3_000).map { UInt8(truncatingIfNeeded: $0) }
        let written = try await client.write(SharedBytes(copying: bytes), to: file, at: 0, .unstable)
        #expect(written.count == bytes.count)
        #expect(try await client.commit(file) == written.verifier)
        #expect(try await client.contents(of: file, limit: 10_000) == bytes)
        try await client.setAttributes(NFSNewAttributes(mode: 0o4755, size: 10, modified: .at(time)), of: file)
        let changed = try await client.attributes(of: file)
        #expect(changed.mode == 0o4755 && changed.size == 10 && changed.modified == time)

        let directory = try await client.makeDirectory(
            "directory".utf8, in: root, NFSNewAttributes(mode: 0o710, user: 5, group: 6)
        ).handle
        let below = try await client.attributes(of: directory)
        #expect(below.type == .directory && below.mode == 0o710 && below.user == 5 && below.group == 6)
        try await client.setAttributes(NFSNewAttributes(modified: .at(time)), of: directory)
        #expect(try await client.attributes(of: directory).modified == time)
        let link = try await client.makeSymbolicLink("link".utf8, in: root, to: "file".utf8).handle
        #expect(try await client.readLink(link) == Array("file".utf8))
        #expect(try await client.attributes(of: link).type == .symbolicLink)
        _ = try await client.makeNode("fifo".utf8, in: root, .fifo, NFSNewAttributes(mode: 0o600))
        let device = try await client.makeNode("null".utf8, in: root, .characterDevice(major: 1, minor: 3)).handle
        #expect(try await client.attributes(of: device).device == (1, 3))
        try await client.link(file, to: "other".utf8, in: directory)
        #expect(try await client.attributes(of: file).links == 2)
        try await client.rename("other".utf8, in: directory, to: "moved".utf8, in: root)
        #expect(try await client.find(TreePath("moved"))?.attributes?.fileID == changed.fileID)
        #expect(try await client.find(TreePath("link/beyond")) == nil)
        let names = try await client.list(root).map { String(decoding: $0.name, as: UTF8.self) }.sorted()
        #expect(names == ["directory", "fifo", "file", "link", "moved", "null"])
        for name in ["moved", "link", "fifo", "null"] { try await client.remove(name.utf8, in: root) }
        try await client.removeDirectory("directory".utf8, in: root)
        #expect(try export.list() == "file")
    }

    @Test func treesMakeTheRound() async throws {
        let scratch = export.scratch
        try TreeFixture.make("source", in: scratch)
        try scratch.shell("tar --format=posix --numeric-owner -cf source.tar -C source .")
        let archive = TarArchive(scratch("source.tar"))
        let unpacked = try await TreeCopy.run(from: archive, to: tree("unpacked"))
        let cloned = try await TreeCopy.run(from: tree("unpacked"), to: tree("cloned"))
        #expect(cloned.counts == unpacked.counts)
        let expected = try await digest(archive)
        #expect(try await digest(tree("unpacked")) == expected)
        #expect(try await digest(tree("cloned")) == expected)
        #expect(try await digest(scratch.tree("export/cloned")) == expected)
        try await tree("unpacked").remove()
        #expect(try export.list() == "cloned")
    }

    /// A server that was restarted knows neither the client nor what it had open.
    @Test func aRestartedServerIsGoneOnWith() async throws {
        let client = try await NFSClient.connect(to: url())
        for name in ["a", "b"] {
            _ = try await client.create(name.utf8, in: client.root, .guarded(.init(mode: 0o600)))
            try export.server.kill()
            try export.server.start()
        }
        _ = try await client.create("c".utf8, in: client.root, .exclusive(7))
        #expect(try export.list() == "a\nb\nc")
    }

    /// Every creation is answered once while its first reply is lost.
    @Test func aCreationWithoutAReplyIsMadeAgain() async throws {
        let proxy = try FaultyProxy(to: export.server.address, port: NFSServer.port)
        let client = try await NFSClient.connect(to: url(port: proxy.port), options: ProxiedExport.impatient)
        for number in 0..<3 {
            let lost = proxy.lostBytes
            proxy.change { $0.losesReplies = true }
            let task = Task {
                try await client.create("\(number)".utf8, in: client.root, .guarded(.init(mode: 0o640, user: 1)))
            }
            while proxy.lostBytes == lost { try await Task.sleep(for: .milliseconds(10)) }
            proxy.change { $0.losesReplies = false }
            proxy.cutConnections()
            #expect(try await task.value.attributes?.type == .file)
        }
        #expect(try export.list() == "0\n1\n2")
    }

    @Test func whatItCannotDoIsSaid() async throws {
        let client = try await NFSClient.connect(to: url())
        let time = client.rootAttributes.changed
        await expect(.unsupported) {
            try await client.setAttributes(NFSNewAttributes(mode: 0o700), of: client.root, ifUnchangedSince: time)
        }
        await expect(.notFound) { try await NFSClient.connect(to: url("/missing")) }
    }
}
