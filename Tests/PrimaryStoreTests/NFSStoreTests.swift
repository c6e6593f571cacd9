// SPDX-License-Identifier: Apache-2.0

import FileTree
import Foundation
import LXCCore
import LXCTesting
import NFSClient
import PrimaryStore
import StoreFiles
import TestSupport
import Testing

/// The store on a real NFS server, with what only such a store has.
@Suite(.tags(.host, .nfs), .limited, .host(.root, .nfsServer))
struct NFSStoreTests {
    /// A server with an exported directory, and stores in it.
    struct Fixture {
        let scratch: ScratchDirectory
        let server: NFSServer

        init(_ change: (inout NFSServer.Export) -> Void = { _ in }) throws {
            scratch = try ScratchDirectory()
            try scratch.shell("mkdir export")
            var export = NFSServer.Export(scratch("export"))
            change(&export)
            server = try NFSServer(export)
        }

        func url(_ path: String = "") throws -> NFSURL { try NFSURL(parsing: server.url(path)) }

        func store(_ path: String = "", id: PoolID? = nil) async throws -> NFSStore {
            do {
                return try await NFSStore(url(path), id: id)
            } catch let error as LXCError where error.code == .notFound {
                return try await NFSStore.create(at: url(path), id: id)
            }
        }
    }

    /// Attributes are left out: NFSv3 does not hold them.
    private static var options: PrimaryStoreConformance.Options {
        var options = PrimaryStoreConformance.Options()
        options.hasHostPaths = false
        options.tree = MemoryTree.smallRoot(user: 0, group: 0)
        options.reopen = { store in
            let store = try #require(store as? NFSStore)
            return try await NFSStore(store.url, id: store.id)
        }
        options.killInstaller = { store, template in
            let store = try #require(store as? NFSStore)
            try StoreWriter.kill(installing: template, in: store.url.description)
        }
        return options
    }

    @Test func keepsTheRulesOfStores() async throws {
        let fixture = try Fixture()
        let conformance = PrimaryStoreConformance(options: Self.options) { check in
            let name = UUID().uuidString
            try fixture.scratch.shell("mkdir export/\(name)")
            try await check(fixture.store("/\(name)"))
        }
        for check in conformance.checks { try await check.run() }
    }

    @Test func diskImagesAreCopiedThereAndKept() async throws {
        let fixture = try Fixture()
        let store = try await fixture.store()
        let directory = try ScratchDirectory()
        try directory.write(QcowImage().bytes, to: "image")
        let id = TemplateID.random()
        let image = try await store.installImage(id, from: DiskImage(path: directory["image"]), progress: nil)
        #expect(try await store.contents() == StoreContents(images: [image]))
        #expect(try await store.verifyTemplate(id, progress: nil).isEmpty)
        #expect(try await store.collectGarbage() == 0)
        let path = fixture.scratch("export/\(id)")
        #expect(try Array(Data(contentsOf: URL(filePath: path))) == QcowImage().bytes)
        try directory.write(QcowImage(over: "/etc/shadow").bytes, to: "bad")
        let bad = DiskImage(path: directory["bad"])
        await expect(.unsafe) { try await store.installImage(.random(), from: bad, progress: nil) }
        #expect(try await store.contents() == StoreContents(images: [image]))
        try await store.deleteTemplate(id)
        #expect(try await store.contents() == StoreContents())
        #expect(try await store.collectGarbage() == 0)
    }

    @Test func identityIsKept() async throws {
        let fixture = try Fixture()
        let first = try await fixture.store()
        let second = try await fixture.store()
        #expect(first.id == second.id)
        await expect(.invalidArgument) { try await fixture.store(id: .random()) }
        await expect(.notFound) { try await fixture.store("/missing") }
    }

    /// Locks over NFS calls and those of a file system know nothing of each other.
    @Test func poolIsUsedInOneWay() async throws {
        let fixture = try Fixture()
        let template = try await fixture.store().installTemplate(.random(), from: Self.options.tree)
        let path = fixture.scratch("export")
        let error = await expect(.unsupported) { try await SharedMountPointStore(path: path) }
        #expect(error?.message.contains("nfs://") == true)
        #expect(try await fixture.store().contents().templates == [template])

        try fixture.scratch.shell("mkdir export/local")
        _ = try await SharedMountPointStore.create(at: fixture.scratch("export/local"))
        await expect(.unsupported) { try await fixture.store("/local") }
    }

    @Test func exportThatSquashesRootIsRefused() async throws {
        let fixture = try Fixture { $0.squashesRoot = true }
        for mode in ["0755", "0777"] {
            try fixture.scratch.shell("chmod \(mode) export")
            let error = await #expect(throws: LXCError.self) { try await fixture.store() }
            #expect(error?.message.contains("no_root_squash") == true, "\(mode): \(String(describing: error))")
            #expect(try fixture.scratch.shell("ls -A export") == "", "mode \(mode)")
        }
    }

    @Test func exportThatIsReadOnlyIsRefused() async throws {
        let fixture = try Fixture { $0.isReadOnly = true }
        await expect(.permissionDenied) { try await fixture.store() }
        #expect(try fixture.scratch.shell("ls -A export") == "")
    }

    /// Nothing is named to be started from where the export is not mounted.
    @Test func volumeHasNoPathWithoutTheMount() async throws {
        let fixture = try Fixture()
        let place = fixture.scratch("bare")
        try fixture.scratch.shell("mkdir bare")
        let store = try await NFSStore.create(at: fixture.url(), mounter: ExistingMount(place))
        let template = try await store.installTemplate(.random(), from: Self.options.tree)
        let volume = try await store.createVolume(.random(), from: template.id)
        let error = await expect(.unavailable) { try await store.hostPath(of: volume.id) }
        #expect(error?.message.contains(place) == true)
        #expect(try fixture.scratch.shell("ls -A bare") == "")
        await expect(.notFound) { try await store.hostPath(of: .random()) }
    }

    /// A process that was killed holds its locks no longer than it takes to see that it is gone.
    @Test func lockOfAKilledProcessIsTakenOver() async throws {
        let fixture = try Fixture()
        let store = try await fixture.store()
        let template = try await store.installTemplate(.random(), from: Self.options.tree)
        let boot = try String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)
            .trimmingCharacters(in: .whitespacesAndNewlines)
        let volume = VolumeID.random()
        // A pid beyond those the kernel gives out.
        try fixture.scratch.shell("echo '\(boot) 99999999 1' > export/.lxc/locks/\(volume).x")
        try fixture.scratch.shell("echo '\(boot) 99999999 1' > export/.lxc/locks/\(template.id).s.0123456789abcdef")
        // Neither waits for the lock's lifetime: garbage collection looks once.
        _ = try await store.collectGarbage()
        #expect(try fixture.scratch.shell("ls -A export/.lxc/locks") == "")
        try fixture.scratch.shell("echo '\(boot) 99999999 1' > export/.lxc/locks/\(volume).x")
        _ = try await store.createVolume(volume, from: template.id)
        try await store.deleteVolume(volume)
        try await store.deleteTemplate(template.id)
        #expect(try fixture.scratch.shell("ls -A export/.lxc/locks") == "")
    }

    /// One that is there, or of another host, keeps others out.
    @Test func lockOfAnotherHostIsRespected() async throws {
        let fixture = try Fixture()
        let store = try await fixture.store()
        let template = try await store.installTemplate(.random(), from: Self.options.tree)
        let volume = VolumeID.random()
        let lock = "export/.lxc/locks/\(volume).x"
        try fixture.scratch.shell("echo '\(UUID()) 1 1' > \(lock)")
        let creation = Task { try await store.createVolume(volume, from: template.id) }
        try await Task.sleep(for: .seconds(2))
        #expect(try await store.contents().volumes.isEmpty)
        #expect(try await store.collectGarbage() == 0)
        // As a client does it: the server would not see its own directory change behind its back.
        let client = try await NFSClient.connect(to: fixture.url("/.lxc/locks"))
        try await client.remove("\(volume).x".utf8, in: client.root)
        #expect(try await creation.value.id == volume)
    }

    /// A lock that became another's while a template was unpacked keeps it from being published.
    @Test func aLostLockIsSeenBeforeTheTemplateAppears() async throws {
        let fixture = try Fixture()
        let store = try await fixture.store()
        let client = try await NFSClient.connect(to: fixture.url("/.lxc/locks"))
        let (reached, signal) = AsyncStream<Void>.makeStream()
        let stolen = DispatchSemaphore(value: 0)
        var tree = Self.options.tree
        tree.beforeEntry = { index in
            guard index == 3 else { return }
            signal.finish()
            stolen.wait()
        }
        let id = TemplateID.random()
        let installation = Task { [tree] in try await store.installTemplate(id, from: tree) }
        for await _ in reached {}
        try await client.remove("\(id).x".utf8, in: client.root)
        _ = try await client.create("\(id).x".utf8, in: client.root, .exclusive(1))
        stolen.signal()
        await expect(.inUse) { try await installation.value }
        #expect(try await store.contents() == StoreContents())
        #expect(try fixture.scratch.shell("ls -A export/.lxc/staging export/.lxc/objects | grep -v :") == "")
        // The other's lock is left alone.
        #expect(try await client.list(client.root).map { String(decoding: $0.name, as: UTF8.self) } == ["\(id).x"])
    }

    /// Who shares a template keeps its deletion waiting, and who deletes it keeps clones waiting.
    @Test(arguments: ["s.0123456789abcdef", "x"]) func sharersAndDeletersExcludeEachOther(kind: String) async throws {
        let fixture = try Fixture()
        let store = try await fixture.store()
        let template = try await store.installTemplate(.random(), from: Self.options.tree)
        let lock = "\(template.id).\(kind)"
        try fixture.scratch.shell("echo '\(UUID()) 1 1' > export/.lxc/locks/\(lock)")
        let work = Task {
            if kind == "x" {
                _ = try await store.createVolume(.random(), from: template.id)
            } else {
                try await store.deleteTemplate(template.id)
            }
        }
        try await Task.sleep(for: .seconds(2))
        #expect(try await store.contents() == StoreContents(templates: [template]))
        let client = try await NFSClient.connect(to: fixture.url("/.lxc/locks"))
        try await client.remove(lock.utf8, in: client.root)
        try await work.value
        #expect(try await store.contents() != StoreContents(templates: [template]))
    }

    @Test func tenVolumesAtOnceFromSeveralClients() async throws {
        let fixture = try Fixture()
        let store = try await fixture.store()
        let template = try await store.installTemplate(.random(), from: Self.options.tree)
        let volumes = try await withThrowingTaskGroup(of: StoredVolume.self) { group in
            for _ in 0..<10 {
                group.addTask { try await fixture.store().createVolume(.random(), from: template.id) }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(try await store.contents().volumes == volumes.sorted { $0.id < $1.id })
        #expect(try await store.verifyTemplate(template.id, progress: nil).isEmpty)
        #expect(try await store.collectGarbage() == 0)
    }

    @Test func leftoversOfKilledOperationsAreCollected() async throws {
        let fixture = try Fixture()
        let store = try await fixture.store()
        let template = try await store.installTemplate(.random(), from: Self.options.tree)
        let gone = VolumeID.random()
        try fixture.scratch.shell(
            """
            cd export/.lxc
            mkdir -p staging/\(gone).0123456789abcdef/etc trash/\(gone).fedcba9876543210/usr/bin
            echo x > staging/\(gone).0123456789abcdef/etc/passwd; echo '{}' > objects/\(gone).json
            mkdir staging/.\(gone).0123456789abcdef.partial-0123456789abcdef
            """)
        #expect(try await store.collectGarbage() == 4)
        #expect(try fixture.scratch.shell("ls -A export/.lxc/staging export/.lxc/trash | grep -v :") == "")
        #expect(try await store.contents() == StoreContents(templates: [template]))
    }
}

/// The kernel's table of mounts.
@Suite struct MountedFileSystemTests {
    private let table = """
        22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
        41 22 0:36 / /mnt/pool rw,relatime shared:12 - nfs4 nas:/export/pool rw,vers=4.2
        42 22 0:37 / /mnt/with\\040space rw - nfs nas:/a\\134b rw
        43 41 0:38 / /mnt/pool rw - tmpfs none rw
        """

    @Test func theTopmostCounts() {
        #expect(MountedFileSystem(at: "/mnt/pool", table: table)?.type == "tmpfs")
        #expect(MountedFileSystem(at: "/", table: table)?.source == "/dev/vda")
        #expect(MountedFileSystem(at: "/mnt", table: table) == nil)
        #expect(MountedFileSystem(at: "/mnt/pool/below", table: table) == nil)
    }

    @Test func escapesAreUndone() {
        let found = MountedFileSystem(at: "/mnt/with space", table: table)
        #expect(found?.type == "nfs")
        #expect(found?.source == "nas:/a\\b")
    }
}
