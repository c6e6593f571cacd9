import FileTree
import Glibc
import LXCCore

extension SharedMountPointStore {
    /// Removes what is in staging and trash and no longer locked, and records without a directory. What cannot be
    /// removed keeps nothing else from being so.
    ///
    /// - Throws: the first failure, when everything else is done.
    public func collectGarbage() async throws -> Int {
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
        let leftovers = try await pool.run { [layout] _ in
            try [layout.staging, layout.trash].flatMap { directory in
                try DurableFile.list(directory).map { "\(directory)/\($0)" }
            }
        }
        for path in leftovers {
            // Hidden names are the tree engine's own siblings, `.<uuid>.<random>.partial-…`.
            let name = path.split(separator: "/").last?.drop { $0 == "." } ?? ""
            guard let id = try? VolumeID(parsing: String(name.prefix(36))) else { continue }
            do {
                let done: Void? = try await FileLock.tryHold(layout.lock(id), pool: pool) {
                    try await LocalTree(path).remove(pool: pool)
                }
                if done != nil { removed += 1 }
            } catch {
                try Task.checkCancellation()
                failure = failure ?? error
            }
        }
    }

    /// Removes records and leases of directories that are not there, and such files half written.
    private func collectRecords(_ removed: inout Int, _ failure: inout (any Error)?) async throws {
        for directory in [layout.objects, layout.leases] {
            for name in try await pool.run({ _ in try DurableFile.list(directory) }) {
                guard let id = try? VolumeID(parsing: String(name.prefix(36))) else { continue }
                do {
                    let done: Bool? = try await FileLock.tryHold(layout.lock(id), pool: pool) {
                        if name == "\(id).json", try await isThere(id) { return false }
                        return try await pool.run { _ in unlink("\(directory)/\(name)") == 0 }
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
        removed += try await pool.run { [layout] _ in
            let staged = try DurableFile.list(layout.control).map { "\(layout.control)/\($0)" }
            return staged.count { $0.hasPrefix(layout.pool + ".") && unlink($0) == 0 }
        }
    }

    /// Removes the files of locks nobody holds, which is what taking a lock and letting it go does. Not counted: the
    /// file of a lock that was in use a moment ago looks the same.
    private func collectLocks(_ removed: inout Int, _ failure: inout (any Error)?) async throws {
        for name in try await pool.run({ [layout] _ in try DurableFile.list(layout.locks) }) {
            do {
                _ = try await FileLock.tryHold("\(layout.locks)/\(name)", pool: pool) {}
            } catch {
                failure = failure ?? error
            }
        }
    }
}
