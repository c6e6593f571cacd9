// SPDX-License-Identifier: Apache-2.0

import FileTree
public import LXCCore
public import Logging
public import StoreFiles

extension Pool {
    /// Opens the pool in a place. Changes nothing in a place that holds no pool: it may be the mount point of one.
    ///
    /// - Parameters:
    ///   - files: the place.
    ///   - id: the pool's identity; nil accepts any.
    ///   - url: the URL by which all hosts use the pool, where the locks of its place are not those of a mounted directory; nil
    ///     for a directory.
    ///   - threads: for what blocks.
    ///   - logger: receives messages about the store's work, at `debug` and `info`.
    /// - Throws: `LXCError` `notFound` when there is no such directory, or no pool in it; `invalidArgument` when it holds
    ///   a pool of another id, `unsupported` when other hosts use it by URL and this one as a directory, or the reverse;
    ///   `unsafe` when others can enter its control directory, `permissionDenied`, `io`.
    public init(
        opening files: any StoreFiles, id: PoolID? = nil, url: String? = nil, threads: BlockingPool = .shared,
        logger: Logger = Logger(label: "lxc-hypervisor.store")
    ) async throws {
        try await Self.requireDirectory(files)
        let missing = try await files.missing(ofPrivateDirectories: StoreLayout.directories)
        guard !missing.contains(StoreLayout.control), let record = try await Self.identity(files) else {
            throw LXCError(.notFound, Self.notThere(files))
        }
        try record.check(id, url, files)
        self.init(files, id: record.id, threads: threads, logger: logger)
        for directory in missing { try await repair { try await files.makePrivateDirectory(directory) } }
        try await keepOthersOut()
    }

    /// Makes a pool in a directory that exists, and opens it.
    ///
    /// - Parameters:
    ///   - files: the place; its contents stay.
    ///   - id: the pool's identity; nil makes a new one.
    ///   - url: as for ``init(opening:id:url:threads:logger:)``.
    ///   - threads: for what blocks.
    ///   - logger: receives messages about the store's work, at `debug` and `info`.
    /// - Returns: the pool.
    /// - Throws: `LXCError` `alreadyExists` when there is another pool; and as ``init(opening:id:url:threads:logger:)``.
    public static func create(
        in files: any StoreFiles, id: PoolID? = nil, url: String? = nil, threads: BlockingPool = .shared,
        logger: Logger = Logger(label: "lxc-hypervisor.store")
    ) async throws -> Pool {
        try await requireDirectory(files)
        // Half-made roots hold setuid programs, and records and leases are trusted: no one else may reach them.
        for directory in StoreLayout.directories { try await files.makePrivateDirectory(directory) }
        let new = PoolRecord(id: id ?? .random(), url: url)
        if try await files.read(StoreLayout.pool) == nil {
            try await files.requireOwnership(in: StoreLayout.staging)
            if try await files.list(StoreLayout.objects).isEmpty {
                try await files.write([], to: StoreLayout.claimsComplete)
            }
        }
        // Of several callers that make a pool concurrently, exactly one gives it its identity.
        let isNew = try await files.create(ControlFile.encode(new), at: StoreLayout.pool)
        if !isNew, let present = try await identity(files), present.id != id {
            throw LXCError(.alreadyExists, "\(files) is the pool \(present.id) already; open it")
        }
        let pool = try await Pool(opening: files, id: id, url: url, threads: threads, logger: logger)
        try await pool.keepReserve()
        if isNew { logger.info("made a pool", metadata: ["pool": "\(pool.id)", "place": "\(files)"]) }
        return pool
    }

    /// Whether a place is an unused directory, such as a new one.
    ///
    /// - Throws: `LXCError` `permissionDenied`, `unavailable`, `io`.
    public static func isEmpty(_ files: any StoreFiles) async throws -> Bool {
        if try await files.read(StoreLayout.pool) != nil { return false }
        let names = try await files.list("").filter { !["lost+found", heartbeats].contains($0) }
        guard names == [StoreLayout.control] else { return names.isEmpty }
        // Another caller may have started a pool there a moment ago.
        let begun = try await files.list(StoreLayout.control).map { "\(StoreLayout.control)/\($0)" }
        return begun.allSatisfy { StoreLayout.directories.contains($0) || $0.hasPrefix("\(StoreLayout.pool).") }
    }

    private static func requireDirectory(_ files: any StoreFiles) async throws {
        guard try await files.isDirectory("") else {
            throw LXCError(
                .notFound,
                "there is no directory \(files.description.escapedForDisplay) for a primary store; make or mount it")
        }
    }

    private static func notThere(_ files: any StoreFiles) -> String {
        "there is no pool in \(files.description.escapedForDisplay): mount what should be there, or make a new one with: "
            + "lxcctl pool create --primary \(files.description.escapedForDisplay)"
    }

    private static func identity(_ files: any StoreFiles) async throws -> PoolRecord? {
        try await ControlFile.read(PoolRecord.self, StoreLayout.pool, in: files)
    }

    /// Brings a pool of an earlier version, or one that was tampered with, into the present form. A read-only place is
    /// used unchanged.
    func repair(_ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch let error as LXCError where error.isLackOfSpace || error.isReadOnly {
            logger.warning("cannot repair a pool", metadata: ["pool": "\(id)", "error": "\(error)"])
        }
    }
}

extension PoolRecord {
    /// - Throws: `LXCError` `invalidArgument` when another pool is wanted, `unsupported` when it is used in another way.
    fileprivate func check(_ wanted: PoolID?, _ url: String?, _ files: any StoreFiles) throws {
        guard wanted == nil || wanted == id else {
            throw LXCError(.invalidArgument, "\(files) is the pool \(id), not the one asked for")
        }
        // Locks over NFS calls and locks of a file system know nothing of each other.
        guard (self.url == nil) == (url == nil) else {
            throw LXCError(
                .unsupported,
                self.url.map { "\(files) is used as \($0.escapedForDisplay); use it so here too" }
                    ?? "\(files) is used as a mounted directory; use it so here too")
        }
    }
}
