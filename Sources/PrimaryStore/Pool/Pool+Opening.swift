import FileTree
import LXCCore
import Logging
import StoreFiles

extension Pool {
    /// Opens the pool in a place. Nothing is begun there: a place that holds no pool may be the mount point of one.
    ///
    /// - Throws: `LXCError` `notFound` when there is no such directory, or no pool in it; `invalidArgument` when it belongs to
    ///   a pool of another id, `unsupported` when it is used by URL or directory on other hosts and not here, or the reverse;
    ///   `unsafe` when others come to its control directory, `permissionDenied`, `io`.
    static func open(
        _ files: any StoreFiles, id: PoolID?, url: String? = nil, threads: BlockingPool, logger: Logger
    ) async throws -> Pool {
        try await requireDirectory(files)
        let missing = try await files.missing(ofPrivateDirectories: StoreLayout.directories)
        guard !missing.contains(StoreLayout.control), let record = try await identity(files) else {
            throw LXCError(.notFound, notThere(files))
        }
        try record.check(id, url, files)
        let pool = Pool(files, id: record.id, threads: threads, logger: logger)
        for directory in missing { try await pool.repair { try await files.makePrivateDirectory(directory) } }
        try await pool.keepOthersOut()
        return pool
    }

    /// Makes a pool in a directory that is there, and opens it.
    ///
    /// - Throws: `LXCError` `alreadyExists` when the directory is a pool already, but for the very one that is asked for; and
    ///   as ``open(_:id:url:threads:logger:)``.
    static func create(
        _ files: any StoreFiles, id: PoolID?, url: String? = nil, threads: BlockingPool, logger: Logger
    ) async throws -> Pool {
        try await requireDirectory(files)
        // Half-made roots hold setuid programs, and records and leases are believed: nobody else may come to them.
        for directory in StoreLayout.directories { try await files.makePrivateDirectory(directory) }
        let new = PoolRecord(id: id ?? .random(), url: url)
        if try await files.read(StoreLayout.pool) == nil {
            try await files.requireOwnership(in: StoreLayout.staging)
            if try await files.list(StoreLayout.objects).isEmpty {
                try await files.write([], to: StoreLayout.claimsComplete)
            }
        }
        // Of several that make a pool at once, one alone gives it its identity.
        let isNew = try await files.create(ControlFile.encode(new), at: StoreLayout.pool)
        if !isNew, let present = try await identity(files), present.id != id {
            throw LXCError(.alreadyExists, "\(files) is the pool \(present.id) already; open it")
        }
        let pool = try await open(files, id: id, url: url, threads: threads, logger: logger)
        try await pool.keepReserve()
        if isNew { logger.info("made a pool", metadata: ["pool": "\(pool.id)", "place": "\(files)"]) }
        return pool
    }

    /// Whether a place is a directory in which nobody keeps anything, as one just made.
    static func isEmpty(_ files: any StoreFiles) async throws -> Bool {
        if try await files.read(StoreLayout.pool) != nil { return false }
        let names = try await files.list("").filter { !["lost+found", heartbeats].contains($0) }
        guard names == [StoreLayout.control] else { return names.isEmpty }
        // Another may have begun a pool there a moment ago.
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

    /// Does what makes a pool of an earlier version, or one somebody tampered with, as those that are made now. A place that
    /// cannot be changed is used as it is.
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
