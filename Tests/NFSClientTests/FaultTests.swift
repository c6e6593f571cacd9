// SPDX-License-Identifier: Apache-2.0

import FileTree
import Foundation
import LXCCore
import LinuxSystem
import NFSClient
import NFSStoreFiles
import StoreFiles
import TestSupport
import Testing

/// Connections that break, replies that do not come, servers that restart.
@Suite(.tags(.host, .nfs), .limited, .host(.root, .nfsServer)) struct FaultTests {
    private let proxied: ProxiedExport
    private var export: Export { proxied.export }

    init() throws { proxied = try ProxiedExport() }

    private func connect() async throws -> NFSClient {
        try await NFSClient.connect(to: proxied.url(), options: ProxiedExport.impatient)
    }

    /// Every kind of call is answered once while its first reply is lost.
    @Test func callsWithoutAReplyAreMadeAgain() async throws {
        try export.scratch.shell("cd export; touch removed renamed linked; mkdir gone")
        let client = try await connect()
        let linked = try await client.lookUp("linked".utf8, in: client.root).handle
        let root = client.root
        let calls: [@Sendable () async throws -> Void] = [
            { _ = try await client.create("f".utf8, in: root, .guarded(.init(mode: 0o640, user: 1, group: 2))) },
            { _ = try await client.create("e".utf8, in: root, .exclusive(77)) },
            { _ = try await client.makeDirectory("d".utf8, in: root, .init(mode: 0o700)) },
            { _ = try await client.makeSymbolicLink("l".utf8, in: root, to: "target".utf8) },
            { _ = try await client.makeNode("p".utf8, in: root, .fifo, .init(mode: 0o600)) },
            { _ = try await client.makeNode("c".utf8, in: root, .characterDevice(major: 1, minor: 3)) },
            { try await client.link(linked, to: "hard".utf8, in: root) },
            { try await client.remove("removed".utf8, in: root) },
            { try await client.removeDirectory("gone".utf8, in: root) },
            { try await client.rename("renamed".utf8, in: root, to: "new".utf8, in: root) },
        ]
        for call in calls {
            let lost = proxied.nfs.lostBytes
            proxied.nfs.change { $0.losesReplies = true }
            let task = Task { try await call() }
            try await proxied.waitForLoss(since: lost)
            proxied.nfs.change { $0.losesReplies = false }
            proxied.nfs.cutConnections()
            try await task.value
        }
        #expect(try export.list() == "c\nd\ne\nf\nhard\nl\nlinked\nnew\np")
    }

    /// What somebody else made is not taken for ours.
    @Test func aRepeatedCallFindsWhatOthersMade() async throws {
        let client = try await connect()
        proxied.nfs.change { $0.refusesConnections = true }
        proxied.nfs.cutConnections()
        let (file, link) = (
            Task { try await client.create("f".utf8, in: client.root, .guarded(.init(mode: 0o600))) },
            Task { try await client.makeSymbolicLink("l".utf8, in: client.root, to: "ours".utf8) }
        )
        try await Task.sleep(for: .milliseconds(300))
        try export.scratch.shell("cd export; echo theirs > f; ln -s theirs l")
        proxied.nfs.change { $0.refusesConnections = false }
        await expect(.alreadyExists) { try await file.value }
        await expect(.alreadyExists) { try await link.value }
    }

    /// The answer to a call that takes a name away is lost, and the name is somebody else's before the call could be made
    /// again: that one keeps it.
    @Test func aRepeatedRemovalTakesNothingOfOthers() async throws {
        try export.scratch.shell("cd export; echo ours > removed; mkdir gone; echo ours > renamed")
        let client = try await connect()
        let root = client.root
        let (removed, renamed) = (
            try await client.lookUp("removed".utf8, in: root), try await client.lookUp("renamed".utf8, in: root)
        )
        try await loseAnswer(then: "echo theirs > export/removed") {
            try await client.remove("removed".utf8, in: root, of: removed.handle)
        }
        try await loseAnswer(then: "echo theirs > export/renamed") {
            try await client.rename("renamed".utf8, in: root, to: "new".utf8, in: root, of: renamed)
        }
        #expect(try export.scratch.shell("cd export; cat removed renamed new") == "theirs\ntheirs\nours")
    }

    /// Makes a call whose answer is lost once, and runs a command on the server when that was carried out.
    private func loseAnswer(then command: String, to call: @escaping @Sendable () async throws -> Void) async throws {
        let lost = proxied.nfs.lostBytes
        proxied.nfs.change { $0.losesReplies = true }
        let task = Task { try await call() }
        try await proxied.waitForLoss(since: lost)
        try export.scratch.shell(command)
        proxied.nfs.change { $0.losesReplies = false }
        proxied.nfs.cutConnections()
        try await task.value
    }

    /// The answer to the call that gives a tree its name is lost until the client has given up: the copy fails, so the tree
    /// that is there by then goes.
    @Test func aTreeWhosePublicationWasNotAnsweredIsTakenBack() async throws {
        try export.scratch.shell("mkdir source; echo x > source/file")
        var options = NFSClientOptions()
        options.giveUp = .seconds(4)
        let destination = NFSTree(try proxied.url("/t"), options: options)
        let source = export.scratch.tree("source")
        // Long enough to lose the answer after the server has done it.
        proxied.nfs.change { $0.delay = .milliseconds(600) }
        let path = export.scratch("export/t")
        let copy = Task { try await TreeCopy.run(from: source, to: destination, options: NFSTreeTests.portable) }
        while !FileManager.default.fileExists(atPath: path) { try await Task.sleep(for: .milliseconds(2)) }
        proxied.nfs.change { $0.refusesConnections = true }
        proxied.nfs.cutConnections()
        // Longer than the call and the look after it are tried, and shorter than the taking back.
        try await Task.sleep(for: .seconds(6))
        proxied.nfs.change {
            $0.refusesConnections = false
            $0.delay = .zero
        }
        await expect(.unavailable, .timedOut) { try await copy.value }
        #expect(try export.list() == "")
    }

    // MARK: Locks

    /// The lock of a holder that was killed is one's of all that find it, however long each of their calls takes.
    @Test func aDeadHoldersLockIsTakenOverByOne() async throws {
        let boot = try String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)
            .trimmingCharacters(in: .whitespacesAndNewlines)
        var clients: [NFSClient] = []
        for _ in 0..<8 { clients.append(try await connect()) }
        proxied.nfs.change { $0.delay = .milliseconds(7) }
        for round in 0..<6 {
            // A pid beyond those the kernel gives out.
            try export.scratch.shell("echo '\(boot) 99999999 1' > export/lock.x")
            let crowd = Crowd()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (index, client) in clients.enumerated() {
                    let files = NFSStoreFiles(client, pool: .shared)
                    group.addTask {
                        // Not all in step: each finds the others at another of their calls.
                        try await Task.sleep(for: .milliseconds(index * (3 + 2 * round)))
                        _ = try await files.tryHold("lock", .exclusive) { lock in
                            crowd.enter()
                            try await Task.sleep(for: .milliseconds(400))
                            crowd.leave()
                            try await lock.confirm()
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(crowd.most == 1, "round \(round)")
            try export.scratch.shell("rm -f export/lock.x")
        }
    }

    @Test func anExclusiveWaiterIsNotStarved() async throws {
        let files = NFSStoreFiles(try await connect(), pool: .shared)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for offset in 0..<3 {
                group.addTask {
                    try? await Task.sleep(for: .milliseconds(80 * offset))
                    while !Task.isCancelled {
                        try? await files.hold("lock", .shared) { _ in try await Task.sleep(for: .milliseconds(250)) }
                    }
                }
            }
            while try export.list().isEmpty { try await Task.sleep(for: .milliseconds(5)) }
            try await files.hold("lock") { _ in }
            group.cancelAll()
        }
        // What was being made for those that were cancelled goes as well, and long before its time is over.
        let start = ContinuousClock.now
        while try export.list() != "" { try await Task.sleep(for: .milliseconds(20)) }
        #expect(ContinuousClock.now - start < .seconds(30))
    }

    @Test func aLostReplyIsNoticedByTime() async throws {
        let client = try await connect()
        proxied.nfs.change { $0.losesReplies = true }
        let task = Task { try await client.attributes(of: client.root) }
        try await proxied.waitForLoss(since: 0)
        proxied.nfs.change { $0.losesReplies = false }
        #expect(try await task.value.type == .directory)
        #expect(proxied.nfs.accepted > 1)
    }

    /// A server that is being started is waited for from the first call on, which is one to its mount service.
    @Test func theMountServiceIsTriedAgain() async throws {
        let export = proxied.export
        try export.server.kill()
        let connection = Task { try await export.connect() }
        try await Task.sleep(for: .milliseconds(300))
        try export.server.start()
        #expect(try await connection.value.rootAttributes.type == .directory)
    }

    @Test func aServerThatStaysAwayIsGivenUp() async throws {
        var options = ProxiedExport.impatient
        options.giveUp = .seconds(2)
        let client = try await NFSClient.connect(to: proxied.url(), options: options)
        proxied.nfs.change { $0.refusesConnections = true }
        proxied.nfs.cutConnections()
        await expect(.unavailable, .timedOut) { try await client.attributes(of: client.root) }
        proxied.nfs.change { $0.refusesConnections = false }
        #expect(try await client.attributes(of: client.root).type == .directory)
    }

    @Test func aCancelledCallEndsAtOnce() async throws {
        let client = try await NFSClient.connect(to: proxied.url())
        proxied.nfs.change { $0.losesReplies = true }
        let task = Task { try await client.attributes(of: client.root) }
        try await proxied.waitForLoss(since: 0)
        task.cancel()
        // The call would end by itself with another error.
        await #expect(throws: CancellationError.self) { try await task.value }
    }

    /// A server that was restarted between WRITE and COMMIT may have lost what it had not on disk: its verifier says so,
    /// and everything is written again.
    @Test func whatARestartedServerMayHaveLostIsWrittenAgain() async throws {
        let client = try await connect()
        let files = NFSStoreFiles(client, pool: .shared)
        var random = SeededRandom(seed: 9)
        let bytes = (0..<4 << 20).map { _ in UInt8.random(in: 1 ... .max, using: &random) }
        let before = client.counters.answers
        let file = try await BlockingPool.shared.run { cancellation in
            let file = try files.newFile("file", cancellation)
            try file.write(SharedBytes(copying: bytes))
            return UncheckedFile(file: file)
        }
        // CREATE and all WRITEs; nothing commits before the end.
        let writes = bytes.count / client.writeSize
        while client.counters.answers < before + 1 + writes { try await Task.sleep(for: .milliseconds(10)) }
        #expect(client.counters.rewrittenBytes == 0)
        try export.server.kill()
        try export.server.start()
        try await BlockingPool.shared.run { _ in try file.file.finish() }
        #expect(client.counters.rewrittenBytes == bytes.count)
        let written = try #require(try await client.find(TreePath("file"))).handle
        #expect(try await client.contents(of: written, limit: bytes.count) == bytes)
    }

    /// Used by one thread after the other.
    private struct UncheckedFile: @unchecked Sendable { let file: any NewStoredFile }

    /// Replies cut anywhere while a tree is written and read.
    @Test(arguments: [40, 1_000, 5_003, 20_001, 60_007, 100_003]) func treesSurviveCutReplies(_ bytes: Int) async throws
    {
        let tree = try RandomTree.make(seed: UInt64(bytes), entries: 200, .nfs)
        let destination = NFSTree(try proxied.url("/t"), options: ProxiedExport.impatient)
        proxied.nfs.change { $0.cutsRepliesAfter = bytes }
        let summary = try await TreeCopy.run(from: tree, to: destination, options: NFSTreeTests.portable)
        proxied.nfs.change { $0.cutsRepliesAfter = bytes }
        let read = try await TreeCopy.examine(destination, options: NFSTreeTests.portable)
        #expect(read.digest == summary.digest)
        #expect(try export.list() == "t")
        proxied.nfs.change { $0.cutsRepliesAfter = bytes / 2 }
        try await destination.remove()
        #expect(try export.list() == "")
    }

    /// The server is killed while large files are written, so that what was not committed is gone.
    @Test func treesSurviveARestartOfTheServer() async throws {
        try export.scratch.shell(
            """
            mkdir source; cd source; for n in $(seq 6); do head -c 20M /dev/urandom > large$n; done
            for d in $(seq 20); do mkdir $d; for f in $(seq 40); do head -c 3000 /dev/urandom > $d/$f; done; done
            """)
        let destination = NFSTree(try TreePath("t"), in: try await connect())
        proxied.nfs.change { $0.delay = .milliseconds(3) }
        let (source, server) = (export.scratch.tree("source"), export.server)
        let task = Task { try await TreeCopy.run(from: source, to: destination, options: NFSTreeTests.portable) }
        for _ in 0..<3 {
            try await Task.sleep(for: .milliseconds(700))
            try server.kill()
            try server.start()
        }
        let summary = try await task.value
        proxied.nfs.change { $0.delay = .zero }
        #expect(try await TreeCopy.examine(destination, options: NFSTreeTests.portable).digest == summary.digest)
        #expect(try await TreeCopy.examine(source, options: NFSTreeTests.portable).digest == summary.digest)
        #expect(try export.list() == "t")
    }

    @Test func aCancelledCopyLeavesNothing() async throws {
        try export.scratch.shell(
            """
            mkdir source; cd source; for d in $(seq 30); do mkdir $d; (cd $d; seq 60 | xargs touch); done
            head -c 60M /dev/zero | tr '\\0' x > z
            """)
        // So slow that the copy takes seconds, of which the longest wait below is a small part.
        proxied.nfs.change { $0.delay = .milliseconds(50) }
        let destination = NFSTree(try proxied.url("/t"))
        let source = export.scratch.tree("source")
        for delay in [0, 50, 120, 180, 220, 260, 300, 350, 400, 500] {
            let task = Task { _ = try await TreeCopy.run(from: source, to: destination) }
            try await Task.sleep(for: .milliseconds(delay))
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(try export.list() == "")
        }
    }

    /// Many calls are under way at once, so a round trip is paid once for many of them.
    @Test func theWindowHidesTheRoundTrip() async throws {
        let tree = try RandomTree.make(seed: 1, entries: 400, .nfs)
        proxied.nfs.change { $0.delay = .milliseconds(5) }
        func seconds(_ window: Int, _ name: String) async throws -> Double {
            var options = NFSClientOptions()
            options.window = window
            let start = ContinuousClock.now
            _ = try await TreeCopy.run(from: tree, to: NFSTree(proxied.url("/\(name)"), options: options))
            return (ContinuousClock.now - start) / .seconds(1)
        }
        let (one, many) = (try await seconds(1, "one"), try await seconds(128, "many"))
        // On an idle host it is about ten times as fast; where tests keep the processors busy the round trips weigh less.
        #expect(one > many)
        #expect(
            try await TreeCopy.examine(NFSTree(proxied.url("/one")), options: NFSTreeTests.portable).digest
                == TreeCopy.examine(NFSTree(proxied.url("/many")), options: NFSTreeTests.portable).digest)
    }
}

/// Servers that refuse part of what is asked.
@Suite(.tags(.host, .nfs), .limited, .host(.root, .nfsServer)) struct RefusingServerTests {
    @Test func aFullFileSystemFailsTheCopyAndIsCleanAgain() async throws {
        let filesystem = try LoopFileSystem(.ext4, megabytes: 24)
        try filesystem.shell("mkdir export")
        let export = try Export { $0.path = filesystem("export") }
        var tree = ListedTree()
        for number in 0..<40 {
            let bytes = [UInt8](repeating: UInt8(number + 1), count: 1_000_000)
            try tree.add("d\(number % 7)/f\(number)", size: 1_000_000, [(0, bytes)])
        }
        let error = await expect(.io) {
            try await TreeCopy.run(from: tree, to: export.tree("t"))
        }
        #expect(error?.description.contains("NFS3ERR_NOSPC") == true)
        #expect(try filesystem.shell("ls -A export") == "")
    }

    @Test func aReadOnlyExportRefusesTheCopy() async throws {
        let export = try Export { $0.isReadOnly = true }
        try export.scratch.shell("mkdir export/t; touch export/t/f")
        #expect(
            await statusThrown { try await TreeCopy.run(from: ListedTree(), to: export.tree("u")) } == .readOnly)
        #expect(await statusThrown { try await export.tree("t").remove() } == .readOnly)
        #expect(try await TreeCopy.examine(export.tree("t")).counts.files == 1)
    }

    @Test func rootSquashIsSaid() async throws {
        let export = try Export { $0.squashesRoot = true }
        try export.scratch.shell("chmod 0777 export")
        let tree = try RandomTree.make(seed: 11, entries: 30, .nfs)
        let error = await expect(.permissionDenied) { try await TreeCopy.run(from: tree, to: export.tree("t")) }
        #expect(error?.message.contains("no_root_squash") == true)
        #expect(try export.list() == "")
    }

    @Test func anExportWithoutVersion3IsNotMounted() async throws {
        let export = try Export { $0.protocols = "4" }
        var options = NFSClientOptions()
        options.giveUp = .seconds(1)
        await expect(.unavailable) { [options] in try await export.connect(options) }
    }
}
