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
        return StoreCapacity(total: ByteCount(total), available: ByteCount(available))
    }

    // MARK: Building and discarding, under the object's lock

    /// Builds a tree in staging and publishes it by rename: the record first, so that a directory that is there is
    /// known for what it is; a record without a directory is garbage. Nothing is published once one of the locks is
    /// another's.
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
            // In a task of its own: the caller's cancellation must not keep the leftovers from being removed.
            await Task { [threads] in try? await staged.remove(pool: threads) }.value
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
        // Another's record is not overwritten, nor is anything published beside it.
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
            await Task { [files] in _ = try? await files.remove(staged) }.value
            throw error
        }
    }

    /// Runs `body` holding an object's lock, waiting for it as long as it takes.
    ///
    /// A lock over NFS can be taken from a holder that was stopped for longer than it lasts, between its last look at the
    /// lock and the call that publishes. All such a call has to publish is in staging; what is there of the object is moved
    /// away first, so that the call finds nothing.
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

    /// Moves what the former holder of an object's lock still has in staging away.
    private func putAside(_ id: Identifier<some Any>) async throws {
        for name in try await files.list(StoreLayout.staging) where name.hasPrefix("\(id).") {
            do {
                try await files.publish("\(StoreLayout.staging)/\(name)", as: StoreLayout.trashed(id))
            } catch let error as LXCError where error.code == .notFound {
                // Its maker has taken it away.
            }
        }
    }

    /// Takes back a publication that failed. The failure does not tell whether the object has its name: what has the name
    /// does. Where that cannot be seen everything stays, and is garbage or published. In a task of its own, because it must
    /// complete in a cancelled one too.
    private func takeBack(
        _ staged: String, _ own: String, _ id: Identifier<some Any>, _ record: [UInt8]
    ) async {
        await Task { [files, threads, logger] in
            do {
                let (object, trashed) = (StoreLayout.object(id), StoreLayout.trashed(id))
                // Where it had its name, and could not be made durable there, it is removed as any other object is: its
                // record after it. Where it has not, a rename that is still on its way to the server must find nothing.
                if try await files.identity(of: object) != own {
                    if try await files.identity(of: staged) == own { try? await files.publish(staged, as: trashed) }
                }
                if try await files.identity(of: object) == own { try? await files.publish(object, as: trashed) }
                guard try await files.identity(of: object) != own else { return }
                // Another's record of that name stays.
                if try await files.read(StoreLayout.record(id)) == record { await discardRecord(id) }
                try await files.tree(trashed).remove(pool: threads)
            } catch {
                logger.warning(
                    "cannot take back an object that was not published",
                    metadata: ["pool": "\(self.id)", "object": "\(id)", "error": "\(error)"])
            }
        }.value
    }

    /// Takes an object away at once, then removes it piece by piece where nobody sees it. What cannot be removed as a whole
    /// stays as it is.
    func discard(_ id: Identifier<some Any>, _ record: ObjectRecord?, under lock: StoreLock) async throws {
        let trashed = StoreLayout.trashed(id)
        try await files.tree(StoreLayout.object(id)).requireRemovable(pool: threads)
        try await lock.confirm()
        try await files.publish(StoreLayout.object(id), as: trashed)
        await discardRecord(id)
        await releaseClaims(of: id, record)
        try await files.tree(trashed).remove(pool: threads)
    }

    /// What cannot be removed is garbage, since its directory is gone.
    private func discardRecord(_ id: Identifier<some Any>) async {
        await Task { [files] in
            for path in [StoreLayout.record(id), StoreLayout.manifest(id)] { _ = try? await files.remove(path) }
        }.value
    }
}

/// What `.lxc/pool.json` says.
struct PoolRecord: Codable {
    var formatVersion = ObjectRecord.currentVersion
    var id: PoolID
    /// How the pool is used, where that is by URL.
    var url: String?

    init(id: PoolID, url: String?) {
        self.id = id
        self.url = url
    }
}
