// SPDX-License-Identifier: Apache-2.0

import FileTree
public import LXCCore
import LinuxSystem
import Logging
public import StoreFiles

/// Templates, volumes, disks and leases with the layout this package's stores share, in any place that offers `StoreFiles`.
///
/// A pool has all of a primary store's logic: the order in which objects are built, published and removed so that a crash
/// leaves old or new, the locks, the leases, the garbage collection. A store is a pool with a place: see ``PooledStore``.
public struct Pool: Sendable {
    /// The identity kept in the pool.
    public let id: PoolID
    /// The place the pool is in.
    public let files: any StoreFiles
    /// Threads for the copies.
    let threads: BlockingPool
    let logger: Logger

    init(_ files: any StoreFiles, id: PoolID, threads: BlockingPool, logger: Logger) {
        self.id = id
        self.files = files
        self.threads = threads
        self.logger = logger
    }

    /// The file system's size and what of it is free.
    func capacity() async throws -> StoreCapacity {
        let (total, available) = try await files.capacity()
        return StoreCapacity(total: total, available: available)
    }

    // MARK: Building and discarding, under the object's lock

    /// Builds a tree in staging and publishes it by rename: the record first, so that an existing directory always has
    /// one; a record without a directory is garbage. Nothing is published once one of the locks is lost.
    func build(
        _ id: Identifier<some Any>, from origin: any TreeOrigin, options: TreeCopyOptions, under locks: [StoreLock],
        progress: ProgressHandler?,
        describe: (TreeSummary, any StoredTree) async throws -> (record: ObjectRecord, manifest: TreeManifest?)
    ) async throws -> ObjectRecord {
        try await files.requireOwnership(in: StoreLayout.staging)
        try await keepReserve()
        let path = StoreLayout.staged(id)
        let staged = try files.tree(path)
        let summary = try await TreeCopy.run(
            from: origin, to: staged, options: options, pool: threads, progress: progress)
        do {
            try Task.checkCancellation()
            let (record, manifest) = try await describe(summary, staged)
            try await publish(path, as: id, record, manifest, under: locks)
            return record
        } catch {
            await withoutCancellation { [threads] in try? await staged.remove(pool: threads) }
            throw error
        }
    }

    /// Gives what was built its record and its name.
    func publish(
        _ staged: String, as id: Identifier<some Any>, _ record: ObjectRecord, _ manifest: TreeManifest? = nil,
        under locks: [StoreLock]
    ) async throws {
        guard let own = try await files.identity(of: staged) else {
            throw LXCError(.io, "\(files)/\(staged) vanished before it got its name; try again")
        }
        let text = try ControlFile.encode(record)
        // Another caller's record is not overwritten, nor is anything published beside it.
        if let manifest { try await put(Array(manifest.text), at: StoreLayout.manifest(id), of: id, under: locks) }
        try await put(text, at: StoreLayout.record(id), of: id, under: locks)
        for lock in locks { try await lock.confirm() }
        do {
            try await files.publish(staged, as: StoreLayout.object(id))
        } catch {
            await takeBack(staged, own, id, text)
            throw error
        }
    }

    /// Makes or replaces a file that says something of an object. It is made in staging, so that it is in the place by one
    /// call, after the locks were looked at; and that call does nothing once the object's lock was taken from us.
    func put(_ bytes: [UInt8], at path: String, of id: Identifier<some Any>, under locks: [StoreLock]) async throws {
        let staged = StoreLayout.staged(id)
        do {
            try await files.write(bytes, to: staged)
            for lock in locks { try await lock.confirm() }
            try await files.replace(path, with: staged)
        } catch {
            await withoutCancellation { [files] in _ = try? await files.remove(staged) }
            throw error
        }
    }

    /// Runs `body` holding an object's lock, waiting for it without a time limit.
    ///
    /// A lock over NFS can be taken from a holder that was stopped for longer than its lifetime, between its last check
    /// of the lock and the call that publishes. Everything such a call could publish is in staging; the object's
    /// entries there are moved away first, so that the call finds nothing.
    func hold<Value>(_ id: Identifier<some Any>, _ body: (StoreLock) async throws -> Value) async throws -> Value {
        try await files.hold(StoreLayout.lock(id), .exclusive) { lock in
            if lock.isTakenOver { try await putAside(id) }
            return try await body(lock)
        }
    }

    /// The same, also on a full file system, for what frees something.
    func holdToFree<Value>(_ id: Identifier<some Any>, _ body: (StoreLock) async throws -> Value) async throws -> Value
    {
        try await holdToFree(StoreLayout.lock(id)) { lock in
            if lock.isTakenOver { try await putAside(id) }
            return try await body(lock)
        }
    }

    /// Moves the staging entries of an object's former lock holder away.
    private func putAside(_ id: Identifier<some Any>) async throws {
        for name in try await files.list(StoreLayout.staging) where name.hasPrefix("\(id).") {
            do {
                try await files.publish("\(StoreLayout.staging)/\(name)", as: StoreLayout.trashed(id))
            } catch let error as LXCError where error.code == .notFound {
                // Its maker has taken it away.
            }
        }
    }

    /// Reverts a failed publication. The failure does not show whether the object has its name: the identity of the
    /// object with that name does. If it is unknown everything stays, and is either garbage or published. Completes in
    /// a cancelled task, too.
    private func takeBack(
        _ staged: String, _ own: String, _ id: Identifier<some Any>, _ record: [UInt8]
    ) async {
        await withoutCancellation { [files, threads, logger] in
            do {
                let (object, trashed) = (StoreLayout.object(id), StoreLayout.trashed(id))
                // If the object has its name, and could not be made durable there, it is removed like any other: its
                // record after it. Otherwise a rename that is still on its way to the server must find nothing.
                if try await files.identity(of: object) != own {
                    if try await files.identity(of: staged) == own { try? await files.publish(staged, as: trashed) }
                }
                if try await files.identity(of: object) == own { try? await files.publish(object, as: trashed) }
                guard try await files.identity(of: object) != own else { return }
                // Another caller's record of that name stays.
                if try await files.read(StoreLayout.record(id)) == record { await discardRecord(id) }
                try await files.tree(trashed).remove(pool: threads)
            } catch {
                logger.warning(
                    "cannot revert a failed publication",
                    metadata: ["pool": "\(self.id)", "object": "\(id)", "error": "\(error)"])
            }
        }
    }

    /// Moves an object away in one step, then removes it piece by piece where it is not visible. An object that cannot
    /// be removed as a whole stays unchanged.
    func discard(_ id: Identifier<some Any>, _ record: ObjectRecord?, under lock: StoreLock) async throws {
        let trashed = StoreLayout.trashed(id)
        try await files.tree(StoreLayout.object(id)).requireRemovable(pool: threads)
        try await lock.confirm()
        try await files.publish(StoreLayout.object(id), as: trashed)
        await discardRecord(id)
        await releaseClaims(of: id, record)
        try await files.tree(trashed).remove(pool: threads)
    }

    /// A record that cannot be removed is garbage, since its directory is gone.
    private func discardRecord(_ id: Identifier<some Any>) async {
        await withoutCancellation { [files] in
            for path in [StoreLayout.record(id), StoreLayout.manifest(id)] { _ = try? await files.remove(path) }
        }
    }
}

/// The contents of `.lxc/pool.json`.
struct PoolRecord: Codable {
    var formatVersion = ObjectRecord.currentVersion
    var id: PoolID
    /// The URL under which the pool is used, if there is one.
    var url: String?

    init(id: PoolID, url: String?) {
        self.id = id
        self.url = url
    }
}
