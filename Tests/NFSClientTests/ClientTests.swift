// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
import NFSClient
import TestSupport
import Testing

@Suite(.tags(.host, .nfs), .limited, .host(.root, .nfsServer)) struct ClientTests {
    private let export: Export

    init() throws { export = try Export() }

    @Test func writesAndReadsAFile() async throws {
        let client = try await export.connect()
        let file = try await client.create(
            "note".utf8, in: client.root, .guarded(NFSNewAttributes(mode: 0o640, user: 12, group: 34)))
        #expect(file.attributes?.type == .file)
        #expect(file.attributes?.mode == 0o640)
        let text = Array("some text".utf8)
        let first = try await client.write(SharedBytes(copying: text), to: file.handle, at: 0, .unstable)
        let second = try await client.write(SharedBytes(copying: text), to: file.handle, at: 100, .unstable)
        #expect(first.count == text.count && first.verifier == second.verifier)
        #expect(try await client.commit(file.handle) == first.verifier)
        let (bytes, isEnd) = try await client.read(file.handle, at: 100, count: 50)
        #expect(bytes.withUnsafeBytes { Array($0) } == text)
        #expect(isEnd)
        let all = try await client.contents(of: file.handle, limit: 200)
        #expect(all.count == 109)
        await expect(.limitExceeded) { try await client.contents(of: file.handle, limit: 108) }
        #expect(try export.scratch.shell("stat -c '%a %u %g %s' export/note") == "640 12 34 109")
        client.close()
        await expect(.unavailable) { try await client.attributes(of: file.handle) }
    }

    @Test func setsAttributesToTheNanosecond() async throws {
        let client = try await export.connect()
        let file = try await client.create("f".utf8, in: client.root, .unchecked(NFSNewAttributes()))
        let time = Timestamp(seconds: 4_000_000_000, nanoseconds: 123_456_789)
        let result = try await client.setAttributes(
            NFSNewAttributes(mode: 0o4711, size: 5_000_000_000, accessed: .now, modified: .at(time)), of: file.handle)
        let attributes = try await client.attributes(of: file.handle)
        #expect(attributes.modified == time && attributes.size == 5_000_000_000 && attributes.mode == 0o4711)
        #expect(attributes.used < 1 << 20)
        #expect(result == nil || result?.modified == time)
    }

    @Test func makesEveryKindAndListsIt() async throws {
        let client = try await export.connect()
        let directory = try await client.makeDirectory("d".utf8, in: client.root, NFSNewAttributes(mode: 0o751))
        let link = try await client.makeSymbolicLink("l".utf8, in: directory.handle, to: "/no where".utf8)
        #expect(try await client.readLink(link.handle) == Array("/no where".utf8))
        _ = try await client.makeNode("p".utf8, in: directory.handle, .fifo, NFSNewAttributes(mode: 0o600))
        _ = try await client.makeNode(
            "c".utf8, in: directory.handle, .characterDevice(major: 1, minor: 3), NFSNewAttributes(mode: 0o666))
        _ = try await client.makeNode(
            "b".utf8, in: directory.handle, .blockDevice(major: 7, minor: 300), NFSNewAttributes(mode: 0o600))
        let file = try await client.create([0xFF, 0x0A], in: directory.handle, .exclusive(42))
        try await client.link(file.handle, to: "hard".utf8, in: directory.handle)
        // Asked for again with the same number, it is the same file.
        let again = try await client.create([0xFF, 0x0A], in: directory.handle, .exclusive(42))
        #expect(again.handle == file.handle)
        let entries = try await client.list(directory.handle)
        let byName = Dictionary(uniqueKeysWithValues: entries.map { ($0.name, $0) })
        #expect(entries.count == 6)
        #expect(byName[Array("l".utf8)]?.attributes?.type == .symbolicLink)
        #expect(byName[Array("p".utf8)]?.attributes?.type == .fifo)
        #expect(byName[Array("c".utf8)]?.attributes?.device.minor == 3)
        #expect(byName[Array("b".utf8)]?.attributes?.device.minor == 300)
        #expect(byName[Array("hard".utf8)]?.fileID == byName[[0xFF, 0x0A]]?.fileID)
        #expect(byName[Array("hard".utf8)]?.attributes?.links == 2)
        await expect(.limitExceeded) { try await client.list(directory.handle, limit: 5) }
        #expect(try await client.find(TreePath("d/hard"))?.handle == file.handle)
        #expect(try await client.find(TreePath("d/none/x")) == nil)
        #expect(try await client.find(TreePath("d/p/x")) == nil)
    }

    @Test func listsALargeDirectory() async throws {
        try export.scratch.shell("mkdir export/many; cd export/many; seq 5000 | xargs touch")
        let client = try await export.connect()
        let directory = try await client.lookUp("many".utf8, in: client.root)
        let names = try await client.list(directory.handle).map { String(decoding: $0.name, as: UTF8.self) }
        #expect(Set(names) == Set((1...5_000).map(String.init)))
    }

    @Test func renamesAndRemoves() async throws {
        try export.scratch.shell("mkdir -p export/a/b export/c; echo x > export/a/f")
        let client = try await export.connect()
        let above = try await client.lookUp("a".utf8, in: client.root).handle
        try await client.rename("f".utf8, in: above, to: "g".utf8, in: client.root)
        #expect(try export.scratch.shell("cat export/g") == "x")
        try await client.remove("g".utf8, in: client.root)
        try await client.removeDirectory("b".utf8, in: above)
        try await client.removeDirectory("a".utf8, in: client.root)
        #expect(try export.list() == "c")
    }

    @Test func connectsToADirectoryInsideAnExport() async throws {
        try export.scratch.shell("mkdir -p export/in/side; touch export/in/side/f")
        let client = try await NFSClient.connect(to: export.url("/in/side"))
        #expect(try await client.list(client.root).map(\.name) == [Array("f".utf8)])
        #expect(client.readSize == 256 << 10 && client.writeSize == 256 << 10)
        #expect(try await client.statistics().totalBytes > 0)
        #expect(client.information.hasHardLinks && client.information.hasSymbolicLinks)
    }

    @Test func callsAreMadeForTheUserOfTheURL() async throws {
        try export.scratch.shell("mkdir -m 0777 export/open; mkdir -m 0700 export/closed")
        let client = try await NFSClient.connect(to: export.url(parameters: "&uid=1234&gid=2345"))
        let open = try await client.lookUp("open".utf8, in: client.root).handle
        _ = try await client.create("f".utf8, in: open, .guarded(NFSNewAttributes(mode: 0o600)))
        #expect(try export.scratch.shell("stat -c '%u %g' export/open/f") == "1234 2345")
        let closed = try await client.lookUp("closed".utf8, in: client.root).handle
        #expect(await statusThrown { try await client.list(closed) } == .access)
        #expect(await statusThrown { try await client.setAttributes(.init(mode: 0o777), of: closed) } == .notOwner)
    }

    @Test func manyTasksShareOneConnection() async throws {
        let client = try await export.connect()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<500 {
                group.addTask {
                    let name = Array("f\(number)".utf8)
                    let file = try await client.create(name, in: client.root, .guarded(.init(mode: 0o644)))
                    try await client.write(SharedBytes(copying: name), to: file.handle, at: 0, .file)
                    #expect(try await client.contents(of: file.handle, limit: 10) == name)
                }
            }
            try await group.waitForAll()
        }
        #expect(try export.scratch.shell("ls export | wc -l") == "500")
    }
}
