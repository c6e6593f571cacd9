// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
import StoreFiles

extension Pool {
    /// Removes unlocked entries of staging and trash, and files of objects that no longer exist. An entry that cannot
    /// be removed does not stop the rest.
    ///
    /// - Throws: `LXCError` naming everything that cannot be removed, when everything else is done.
    func collectGarbage() async throws -> Int {
        var garbage = Garbage()
        for collect in [collectTrees, collectFiles, collectClaims, collectIdentities, collectLocks] {
            do { try await collect(&garbage) } catch { try garbage.keep("", error) }
        }
        do { try await keepReserve() } catch { try garbage.keep("", error) }
        try garbage.check()
        return garbage.removed
    }

    /// Removes trees half built and half deleted.
    private func collectTrees(_ garbage: inout Garbage) async throws {
        for directory in [StoreLayout.staging, StoreLayout.trash] {
            for name in try await files.list(directory) {
                // Hidden names are the tree engine's own siblings, `.<uuid>.<random>.partial-…`.
                guard let id = try? VolumeID(parsing: String(name.drop { $0 == "." }.prefix(36))) else { continue }
                let path = "\(directory)/\(name)"
                try await garbage.attempt(path) {
                    let done: Void? = try await tryHoldToFree(StoreLayout.lock(id)) { _ in
                        try await files.tree(path).remove(pool: threads)
                    }
                    return done != nil
                }
            }
        }
    }

    /// Removes records and leases of objects that do not exist, and half-written ones. The names are listed once; only
    /// likely garbage is looked at more closely.
    private func collectFiles(_ garbage: inout Garbage) async throws {
        let names =
            try await files.list(StoreLayout.objects).map { (StoreLayout.objects, $0) }
            + files.list(StoreLayout.leases).map { (StoreLayout.leases, $0) }
        // Listed afterwards: a creation makes the record first.
        let present = try await objects()
        for (directory, name) in names {
            guard let id = try? VolumeID(parsing: String(name.prefix(36))) else { continue }
            let isWhole = name == "\(id).json" || name == "\(id).manifest"
            if isWhole, present[id] != nil { continue }
            try await garbage.attempt("\(directory)/\(name)") {
                try await tryHoldToFree(StoreLayout.lock(id)) { _ in
                    if isWhole, try await isThere(id) { return false }
                    return try await files.remove("\(directory)/\(name)")
                } ?? false
            }
        }
    }

    /// Removes claims of objects that do not exist, and the passage of users without claims. Not counted: a claim is
    /// not an object, and is made before one.
    private func collectClaims(_ garbage: inout Garbage) async throws {
        _ = try await claimsAreComplete()
        let present = try await objects()
        for entry in try await files.scan(StoreLayout.claims) where entry.kind == .directory {
            let directory = "\(StoreLayout.claims)/\(entry.name)"
            try await garbage.attempt(directory) {
                for name in try await files.list(directory) {
                    guard let id = try? VolumeID(parsing: String(name.prefix(36))) else { continue }
                    if name == id.description, present[id] != nil { continue }
                    _ = try await tryHoldToFree(StoreLayout.lock(id)) { _ in
                        if name == id.description, try await isThere(id) { return }
                        _ = try await files.remove("\(directory)/\(name)")
                    }
                }
                if let user = Self.user(entry.name) { try await keepOut(user) }
                if let base = try? VolumeID(parsing: entry.name), present[base] == nil {
                    try await files.removeEmptyDirectory(directory)
                }
                return false
            }
        }
    }

    /// Removes half-written identity files of the pool. The pool has its identity by now, so they are not needed.
    private func collectIdentities(_ garbage: inout Garbage) async throws {
        for name in try await files.list(StoreLayout.control).map({ "\(StoreLayout.control)/\($0)" })
        where name.hasPrefix(StoreLayout.pool + ".") {
            try await garbage.attempt(name) { try await files.remove(name) }
        }
    }

    /// Removes the files of unused locks. Not counted: the file of a lock that was in use a moment ago looks the same.
    private func collectLocks(_ garbage: inout Garbage) async throws {
        for name in try await files.list(StoreLayout.locks) {
            let path = "\(StoreLayout.locks)/\(name)"
            try await garbage.attempt(path) {
                try await files.removeLock(path)
                return false
            }
        }
    }
}

/// The results of a collection: the entries removed, and the failures.
private struct Garbage {
    /// The number of names an error lists.
    private static let listed = 10

    private(set) var removed = 0
    private var kept: [(path: String, error: any Error)] = []

    /// Runs `body`, which says whether it removed something. A failure is kept for the end.
    mutating func attempt(_ path: String, _ body: () async throws -> Bool) async throws {
        do {
            if try await body() { removed += 1 }
        } catch {
            try keep(path, error)
        }
    }

    mutating func keep(_ path: String, _ error: any Error) throws {
        try Task.checkCancellation()
        kept.append((path, error))
    }

    /// Throws when something was kept.
    func check() throws {
        guard let first = kept.first else { return }
        let code = (first.error as? LXCError)?.code ?? .io
        let names = kept.prefix(Self.listed).map { path, error in
            let reason = (error as? LXCError)?.message ?? "\(error)"
            return path.isEmpty ? reason : "\(path.escapedForDisplay): \(reason)"
        }
        let rest = kept.count > Self.listed ? "; and \(kept.count - Self.listed) more" : ""
        throw LXCError(
            code,
            "removed \(removed) leftovers, and could not remove \(kept.count): \(names.joined(separator: "; "))\(rest)")
    }
}
