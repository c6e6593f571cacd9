import FileTree
import Foundation
import LXCCore
import LinuxSystem
import Logging
import StoreFiles
import Synchronization
import TestSupport
import Testing

@testable import PrimaryStore

/// Publications that fail after their rename, or before it.
@Suite(.timeLimit(.minutes(5)))
struct PublicationTests {
    enum Failure: CaseIterable {
        case before, after
        /// The rename is done, and what has the name cannot be seen any more.
        case afterAndBlind
    }

    private let directory: TemporaryDirectory
    private let files: FailingFiles
    private let pool: Pool
    private let template: TemplateID

    init() async throws {
        directory = try TemporaryDirectory()
        let threads = BlockingPool(threads: 2)
        files = FailingFiles(base: LocalStoreFiles(directory.path, pool: threads))
        pool = try await Pool.create(files, id: nil, threads: threads, logger: Logger(label: "test"))
        template = try await pool.installTemplate(
            .random(), from: Fixture.tree, expecting: nil, limits: TreeLimits(), progress: nil
        ).id
    }

    private func exists(_ id: VolumeID) -> (object: Bool, record: Bool) {
        (directory.exists("\(id)"), directory.exists(".lxc/objects/\(id).json"))
    }

    /// Whatever the failure was, an object has its record, or neither is there.
    @Test(arguments: Failure.allCases) func anObjectIsNeverWithoutItsRecord(_ failure: Failure) async throws {
        let id = VolumeID.random()
        files.fail(failure)
        #expect(
            await codeThrown { try await pool.createVolume(id, from: template, idMap: nil, progress: nil) } == .io)
        files.fail(nil)
        if failure == .afterAndBlind {
            #expect(exists(id) == (true, true))
            #expect(try await pool.contents().volumes.first?.template == template)
            try await pool.deleteVolume(id)
        }
        #expect(exists(id) == (false, false))
        #expect(try await pool.collectGarbage() == 0)
        _ = try await pool.createVolume(id, from: template, idMap: nil, progress: nil)
        #expect(exists(id) == (true, true))
    }

    /// What somebody else put in the place stays, and is not said to be what we built.
    @Test func whatElseHasTheNameStays() async throws {
        let id = VolumeID.random()
        try directory.write("theirs", to: "theirs/file")
        let path = directory.path
        files.beforePublishing { #expect(rename("\(path)/theirs", "\(path)/\(id)") == 0) }
        #expect(
            await codeThrown { try await pool.createVolume(id, from: template, idMap: nil, progress: nil) }
                == .alreadyExists)
        #expect(directory.exists("\(id)/file"))
        #expect(exists(id) == (true, false))
        #expect(try await pool.collectGarbage() == 0)
    }

    /// The holder of a lock is stopped right before it publishes, for so long that its lock is taken from it: its call comes
    /// late, and finds nothing.
    @Test func aHolderThatIsStoppedPublishesNothingLate() async throws {
        let id = VolumeID.random()
        let threads = BlockingPool(threads: 2)
        let others = FailingFiles(base: files.base, takesLocksOver: true)
        let other = try await Pool.open(others, id: nil, threads: threads, logger: Logger(label: "test"))
        // Takes the lock over and finds nothing published, but does not publish either; the late call is next.
        files.beforePublishing {
            _ = try await other.hold(id) { lock in
                try await other.put(Array("{}".utf8), at: ".lxc/objects/\(id).json", of: id, under: [lock])
            }
        }
        #expect(
            await codeThrown { try await pool.createVolume(id, from: template, idMap: nil, progress: nil) } == .notFound
        )
        #expect(exists(id) == (false, true), "the record is the other's")
        #expect(try directory.read(".lxc/objects/\(id).json") == Array("{}".utf8))
    }
}

/// Files of this host whose publications fail as a test says.
private final class FailingFiles: StoreFiles {
    let base: LocalStoreFiles
    private let failure = Mutex<PublicationTests.Failure?>(nil)
    private let isBlind = Mutex(false)
    private let preparation = Mutex<(@Sendable () async throws -> Void)?>(nil)

    private let takesLocksOver: Bool

    init(base: LocalStoreFiles, takesLocksOver: Bool = false) {
        self.base = base
        self.takesLocksOver = takesLocksOver
    }

    func fail(_ how: PublicationTests.Failure?) {
        failure.withLock { $0 = how }
        isBlind.withLock { $0 = false }
    }

    func beforePublishing(_ body: @escaping @Sendable () async throws -> Void) { preparation.withLock { $0 = body } }

    var description: String { base.description }

    func publish(_ staged: String, as path: String) async throws {
        let prepare = preparation.withLock { preparation in
            defer { preparation = nil }
            return preparation
        }
        try await prepare?()
        let failure = failure.withLock { failure in
            defer { failure = nil }
            return failure
        }
        if failure != .before { try await base.publish(staged, as: path) }
        guard let failure else { return }
        if failure == .afterAndBlind { isBlind.withLock { $0 = true } }
        throw LXCError.systemCall("fsync", errno: EIO, "sync \(path)")
    }

    func identity(of path: String) async throws -> String? {
        guard isBlind.withLock({ !$0 }) else { throw LXCError(.unavailable, "the server is away") }
        return try await base.identity(of: path)
    }

    func capacity() async throws -> (total: UInt64, available: UInt64) { try await base.capacity() }
    func now() async throws -> Date { try await base.now() }
    func kind(of path: String) async throws -> StoredKind? { try await base.kind(of: path) }
    var locksTakeSpace: Bool { base.locksTakeSpace }
    func list(_ path: String) async throws -> [String] { try await base.list(path) }
    func scan(_ path: String) async throws -> [StoredName] { try await base.scan(path) }
    func missing(ofPrivateDirectories paths: [String]) async throws -> [String] {
        try await base.missing(ofPrivateDirectories: paths)
    }
    func removeEmptyDirectory(_ path: String) async throws { try await base.removeEmptyDirectory(path) }
    func passage() async throws -> StorePassage { try await base.passage() }
    func setPassage(_ passage: StorePassage) async throws { try await base.setPassage(passage) }
    func requireOwnership(in directory: String) async throws { base.requireOwnership(in: directory) }
    func readAll(
        in path: String, limit: Int, where isWanted: @escaping @Sendable (String) -> Bool
    ) async throws -> [String: Result<[UInt8], LXCError>] {
        try await base.readAll(in: path, limit: limit, where: isWanted)
    }
    func makeDirectory(_ path: String) async throws { try await base.makeDirectory(path) }
    func makePrivateDirectory(_ path: String) async throws { try await base.makePrivateDirectory(path) }
    func read(_ path: String, limit: Int) async throws -> [UInt8]? { try await base.read(path, limit: limit) }
    func write(_ bytes: [UInt8], to path: String, mode: UInt16) async throws {
        try await base.write(bytes, to: path, mode: mode)
    }
    func replace(_ path: String, with staged: String) async throws { try await base.replace(path, with: staged) }
    func create(_ bytes: [UInt8], at path: String) async throws -> Bool { try await base.create(bytes, at: path) }
    func remove(_ path: String) async throws -> Bool { try await base.remove(path) }
    func file(_ path: String) -> any StoredFile { base.file(path) }
    func newFile(_ path: String, _ cancellation: Cancellation) throws -> any NewStoredFile {
        try base.newFile(path, cancellation)
    }
    func sync(_ path: String) async throws { try await base.sync(path) }
    func tree(_ path: String) throws -> any StoredTree { base.tree(path) }
    func hold<Value>(
        _ lock: String, _ mode: FileLock.Mode, _ body: (StoreLock) async throws -> Value
    ) async throws -> Value {
        guard takesLocksOver else { return try await base.hold(lock, mode, body) }
        return try await body(StoreLock(isTakenOver: true) {})
    }
    func tryHold<Value>(
        _ lock: String, _ mode: FileLock.Mode, _ body: (StoreLock) async throws -> Value
    ) async throws -> Value? { try await base.tryHold(lock, mode, body) }
    func removeLock(_ lock: String) async throws { try await base.removeLock(lock) }
}
