// SPDX-License-Identifier: Apache-2.0

import FileTree
import Foundation
import Glibc
import LXCCore
import LXCTesting
import NFSClient
import PrimaryStore
import TestSupport
import Testing

/// A store on a file system in which nothing can be made any more: what frees room works, and so does what reads.
@Suite(.tags(.host), .limited, .host(.root), .serialized)
struct FullStoreTests {
    /// How a file system is full.
    enum Fullness: String, CaseIterable, Sendable {
        case noInodes
        case ext4
        case xfs
        case btrfs

        func make() throws -> LoopFileSystem {
            switch self {
            case .noInodes: try LoopFileSystem(.ext4, megabytes: 16, options: "-N 512")
            case .ext4: try LoopFileSystem(.ext4, megabytes: 16)
            case .xfs: try LoopFileSystem(.xfs, megabytes: 300)
            case .btrfs: try LoopFileSystem(.btrfs, megabytes: 120)
            }
        }

        /// Until not even an empty file can be made.
        func fill(_ files: LoopFileSystem) throws {
            let name = "fill/\(UUID().uuidString)"
            let blocks = """
                dd if=/dev/zero of=\(name) bs=64k status=none 2>/dev/null || true
                dd if=/dev/zero of=\(name).2 bs=512 oflag=sync status=none 2>/dev/null || true
                """
            let inodes = "seq -f '\(name).%g' 4096 | xargs -n 512 touch 2>/dev/null || true"
            try files.shell("mkdir -p fill; \(self == .noInodes ? inodes : blocks)\nsync -f .")
        }
    }

    /// One store with all that can be freed, and one full file system for each thing that frees.
    private func check(
        _ fullness: Fullness, store open: (LoopFileSystem) async throws -> any PrimaryStore
    ) async throws {
        let files = try fullness.make()
        try files.shell("mkdir -p pool fill")
        let tree = MemoryTree.smallRoot(user: 0, group: 0)
        let first = try await open(files)
        let template = try await first.installTemplate(.random(), from: tree).id
        let unused = try await first.installTemplate(.random(), from: tree).id
        let map = try IDMap(host: 300_000, count: 1_000)
        let volume = try await first.createVolume(.random(), from: template, idMap: map).id
        let other = try await first.createVolume(.random(), from: template).id
        let lease = try await first.acquireLease(on: volume, for: "host-a")
        try files.shell("mkdir pool/.lxc/staging/\(VolumeID.random()).0123456789abcdef")

        try fullness.fill(files)
        await #expect(throws: LXCError.self) { try await first.createVolume(.random(), from: template) }
        try fullness.fill(files)
        let store = try await open(files)
        #expect(try await store.contents().volumes.count == 2)
        #expect(try await store.verifyTemplate(template, progress: nil).isEmpty)
        let frees: [(String, () async throws -> Void)] = [
            ("gc", { _ = try await store.collectGarbage() }),
            ("release", { try await store.releaseLease(lease) }),
            ("volume", { try await store.deleteVolume(volume) }),
            ("privileged", { try await store.deleteVolume(other) }),
            ("unused", { try await store.deleteTemplate(unused) }),
            ("template", { try await store.deleteTemplate(template) }),
        ]
        for (what, free) in frees {
            try fullness.fill(files)
            do { try await free() } catch { Issue.record("\(what): \(error)") }
        }
        #expect(try await store.contents() == StoreContents())
        #expect(try files.shell("ls -A pool") == ".lxc")
        let left = try files.shell("cd pool/.lxc; find staging trash objects leases -mindepth 1")
        // With room again everything is as before.
        try files.shell("rm -rf fill; sync -f .")
        #expect(try await store.collectGarbage() == 0, "\(left)")
        _ = try await store.installTemplate(template, from: tree)
    }

    @Test(arguments: Fullness.allCases) func whatFreesNeedsNoRoom(fullness: Fullness) async throws {
        try await check(fullness) { files in
            do {
                return try await SharedMountPointStore(path: files("pool"))
            } catch let error as LXCError where error.code == .notFound {
                return try await SharedMountPointStore.create(at: files("pool"))
            }
        }
    }

    @Test(.host(.nfsServer), arguments: [Fullness.noInodes, .ext4])
    func whatFreesNeedsNoRoomOnAServer(fullness: Fullness) async throws {
        var server: NFSServer?
        try await check(fullness) { files in
            let started = try server ?? NFSServer(NFSServer.Export(files("pool")))
            server = started
            let url = try NFSURL(parsing: started.url())
            do {
                return try await NFSStore(url)
            } catch let error as LXCError where error.code == .notFound {
                return try await NFSStore.create(at: url)
            }
        }
    }
}
