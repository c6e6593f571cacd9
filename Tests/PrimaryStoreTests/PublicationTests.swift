// SPDX-License-Identifier: Apache-2.0

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
@Suite(.limited)
struct PublicationTests {
    enum Failure: CaseIterable {
        case before, after
        /// The rename is done, and what has the name cannot be seen any more.
        case afterAndBlind
    }

    private let directory: ScratchDirectory
    private let files: FailingFiles
    private let pool: Pool
    private let template: TemplateID

    init() async throws {
        directory = try ScratchDirectory()
        let threads = BlockingPool(threads: 2)
        files = FailingFiles(base: LocalStoreFiles(directory.path, pool: threads))
        pool = try await Pool.create(in: files, threads: threads, logger: Logger(label: "test"))
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
        await expect(.io) { try await pool.createVolume(id, from: template, idMap: nil, progress: nil) }
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
        await expect(.alreadyExists) { try await pool.createVolume(id, from: template, idMap: nil, progress: nil) }
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
        let other = try await Pool(opening: others, threads: threads, logger: Logger(label: "test"))
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
private final class FailingFiles: DecoratedStoreFiles {
    let base: any StoreFiles
    private let failure = Mutex<PublicationTests.Failure?>(nil)
    private let isBlind = Mutex(false)
    private let preparation = Mutex<(@Sendable () async throws -> Void)?>(nil)

    private let takesLocksOver: Bool

    init(base: any StoreFiles, takesLocksOver: Bool = false) {
        self.base = base
        self.takesLocksOver = takesLocksOver
    }

    func fail(_ how: PublicationTests.Failure?) {
        failure.withLock { $0 = how }
        isBlind.withLock { $0 = false }
    }

    func beforePublishing(_ body: @escaping @Sendable () async throws -> Void) { preparation.withLock { $0 = body } }

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

    func hold<Value>(
        _ lock: String, _ mode: StoreLock.Mode, _ body: (StoreLock) async throws -> Value
    ) async throws -> Value {
        guard takesLocksOver else { return try await base.hold(lock, mode, body) }
        return try await body(StoreLock(isTakenOver: true) {})
    }
}
