// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc
import LXCCore
import Logging
import PrimaryStore

/// A pool of a host that is about to be opened.
struct PoolOpening: Sendable {
    let pool: LXCHypervisor.Configuration.Pool
    let location: LXCHypervisor.StoreLocation
    /// Whether to create the pool if its location is unused.
    let makesMissing: Bool

    /// The pools of a configuration; does not open them.
    ///
    /// - Throws: `LXCError` `invalidArgument` if there is no pool, a location is invalid, or one is given twice.
    static func all(_ configuration: LXCHypervisor.Configuration) throws -> [PoolOpening] {
        guard !configuration.pools.isEmpty else {
            throw LXCError(.invalidArgument, "a host needs at least one primary store")
        }
        var places: Set<LXCHypervisor.StoreLocation> = []
        return try configuration.pools.enumerated().map { index, pool in
            let location = try LXCHypervisor.StoreLocation(pool.location)
            guard places.insert(location.resolved).inserted else {
                throw LXCError(
                    .invalidArgument, "the primary store \(location) was given twice to one host; give each once")
            }
            return PoolOpening(
                pool: pool, location: location, makesMissing: index == 0 && configuration.makesMissingPool)
        }
    }

    /// Opens the pools concurrently.
    ///
    /// - Throws: the error of a pool that cannot be opened, unless it is one of several and its UUID is known;
    ///   `LXCError` `invalidArgument` if two locations are of the same pool.
    static func open(
        _ openings: [PoolOpening], _ mounter: LXCHypervisor.LibvirtMounter, _ logger: Logger
    ) async throws -> StorePools {
        let results = await withTaskGroup(of: (Int, Result<any PrimaryStore, any Error>).self) { group in
            for (index, opening) in openings.enumerated() {
                group.addTask {
                    do { return (index, .success(try await opening.open(mounter, logger))) } catch {
                        return (index, .failure(error))
                    }
                }
            }
            return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        var stores: [any PrimaryStore] = []
        var failures: [any Error] = []
        for (index, opening) in openings.enumerated() {
            switch results[index] {
            case .success(let store): stores.append(store)
            case .failure(let error):
                stores.append(try opening.standIn(for: error, openings.count, logger))
                failures.append(error)
            case nil: throw CancellationError()
            }
        }
        if failures.count == openings.count, let failure = failures.first { throw failure }
        return try StorePools(stores)
    }

    private func open(_ mounter: LXCHypervisor.LibvirtMounter, _ logger: Logger) async throws -> any PrimaryStore {
        if makesMissing { _ = try await location.createPrimaryStoreIfEmpty(id: pool.id, logger: logger) }
        return try await location.primaryStore(id: pool.id, mounter: mounter, logger: logger)
    }

    /// The stand-in for a pool that could not be opened.
    private func standIn(for error: any Error, _ count: Int, _ logger: Logger) throws -> any PrimaryStore {
        guard count > 1, let error = error as? LXCError, let id = pool.id else { throw error }
        logger.error(
            "cannot open a primary store; its containers can be stopped, and no more",
            metadata: ["pool": "\(id)", "location": "\(location)", "error": "\(error)"])
        return LXCHypervisor.UnreachableStore(id, because: error)
    }
}

extension LXCHypervisor.StoreLocation {
    /// The canonical form of the location, as far as it can be determined without opening it.
    fileprivate var resolved: Self {
        guard case .directory(let path) = self else { return self }
        guard let resolved = realpath(path, nil) else {
            return .directory(URL(filePath: path).standardizedFileURL.path(percentEncoded: false))
        }
        defer { free(resolved) }
        return .directory(String(cString: resolved))
    }
}
