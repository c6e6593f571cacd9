import FileTree
import LXCCore

extension Pool {
    /// Removes what is in staging and trash and no longer locked, and records without a directory. What cannot be
    /// removed keeps nothing else from being so.
    ///
    /// - Throws: the first failure, when everything else is done.
    func collectGarbage() async throws -> Int {
        var removed = 0
        var failure: (any Error)?
        for collect in [collectTrees, collectRecords, collectIdentities, collectLocks] {
            do {
                try await collect(&removed, &failure)
            } catch {
                try Task.checkCancellation()
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
        return removed
    }

    /// Removes trees half built and half deleted.
    private func collectTrees(_ removed: inout Int, _ failure: inout (any Error)?) async throws {
        for directory in [StoreLayout.staging, StoreLayout.trash] {
            for name in try await files.list(directory) {
                // Hidden names are the tree engine's own siblings, `.<uuid>.<random>.partial-…`.
                guard let id = try? VolumeID(parsing: String(name.drop { $0 == "." }.prefix(36))) else { continue }
                do {
                    let done: Void? = try await files.tryHold(StoreLayout.lock(id), .exclusive) { _ in
                        try await files.tree("\(directory)/\(name)").remove(pool: threads)
                    }
                    if done != nil { removed += 1 }
                } catch {
                    try Task.checkCancellation()
                    failure = failure ?? error
                }
            }
        }
    }

    /// Removes records and leases of directories that are not there, and such files half written.
    private func collectRecords(_ removed: inout Int, _ failure: inout (any Error)?) async throws {
        for directory in [StoreLayout.objects, StoreLayout.leases] {
            for name in try await files.list(directory) {
                guard let id = try? VolumeID(parsing: String(name.prefix(36))) else { continue }
                do {
                    let done: Bool? = try await files.tryHold(StoreLayout.lock(id), .exclusive) { _ in
                        let isKept = name == "\(id).json" || name == "\(id).manifest"
                        if isKept, try await isThere(id) { return false }
                        return try await files.remove("\(directory)/\(name)")
                    }
                    if done == true { removed += 1 }
                } catch {
                    try Task.checkCancellation()
                    failure = failure ?? error
                }
            }
        }
    }

    /// Removes the pool's identity half written. The pool has one by now, so nobody needs another.
    private func collectIdentities(_ removed: inout Int, _ failure: inout (any Error)?) async throws {
        for name in try await files.list(StoreLayout.control).map({ "\(StoreLayout.control)/\($0)" })
        where name.hasPrefix(StoreLayout.pool + ".") {
            if try await files.remove(name) { removed += 1 }
        }
    }

    /// Removes the files of locks nobody holds. Not counted: the file of a lock that was in use a moment ago looks the
    /// same.
    private func collectLocks(_ removed: inout Int, _ failure: inout (any Error)?) async throws {
        for name in try await files.list(StoreLayout.locks) {
            do {
                try await files.removeLock("\(StoreLayout.locks)/\(name)")
            } catch {
                failure = failure ?? error
            }
        }
    }
}
