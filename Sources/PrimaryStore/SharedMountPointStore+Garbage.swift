import FileTree
import Glibc
import LXCCore

extension SharedMountPointStore {
    /// Removes what is in staging and trash and no longer locked, and records without a directory.
    public func collectGarbage() async throws -> Int {
        let leftovers = try await pool.run { [layout] _ in
            try [layout.staging, layout.trash].flatMap { directory in
                try DurableFile.list(directory).map { "\(directory)/\($0)" }
            }
        }
        var removed = 0
        for path in leftovers {
            // Hidden names are the tree engine's own siblings, `.<uuid>.<random>.partial-…`.
            let name = path.split(separator: "/").last?.drop { $0 == "." } ?? ""
            guard let id = try? VolumeID(parsing: String(name.prefix(36))) else { continue }
            let done: Void? = try await FileLock.tryHold(layout.lock(id), pool: pool) {
                try await LocalTree(path).remove(pool: pool)
            }
            if done != nil { removed += 1 }
        }
        removed += try await collectRecords()
        removed += try await collectIdentities()
        try await collectLocks()
        return removed
    }

    /// Removes the pool's identity half written. The pool has one by now, so nobody needs another.
    private func collectIdentities() async throws -> Int {
        try await pool.run { [layout] _ in
            let staged = try DurableFile.list(layout.control).filter {
                "\(layout.control)/\($0)".hasPrefix(layout.pool + ".")
            }
            return staged.count { unlink("\(layout.control)/\($0)") == 0 }
        }
    }

    /// Removes the files of locks nobody holds, which is what taking a lock and letting it go does. Not counted: the
    /// file of a lock that was in use a moment ago looks the same.
    private func collectLocks() async throws {
        for name in try await pool.run({ [layout] _ in try DurableFile.list(layout.locks) }) {
            _ = try await FileLock.tryHold("\(layout.locks)/\(name)", pool: pool) {}
        }
    }

    /// Removes records and leases of directories that are not there, and such files half written.
    private func collectRecords() async throws -> Int {
        var removed = 0
        for directory in [layout.objects, layout.leases] {
            for name in try await pool.run({ _ in try DurableFile.list(directory) }) {
                guard let id = try? VolumeID(parsing: String(name.prefix(36))) else { continue }
                let done: Bool? = try await FileLock.tryHold(layout.lock(id), pool: pool) {
                    if name == "\(id).json", try await isThere(id) { return false }
                    return try await pool.run { _ in unlink("\(directory)/\(name)") == 0 }
                }
                if done == true { removed += 1 }
            }
        }
        return removed
    }
}
