// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import FoundationEssentials
import LXCCore
import LXCHypervisor
import OperatorSupport
import PrimaryStore

/// Names a primary store: one of the host's pools, which the settings list, or any other place.
struct PrimaryOptions: ParsableArguments {
    @Option(
        name: .long, help: ArgumentHelp("The primary store: a directory, or nfs://server/export.", valueName: "dir|url")
    )
    var primary: String?

    @Option(
        name: .long,
        help: ArgumentHelp(
            "One of the configured pools: its UUID, its location or the last part of that; by default the first.",
            valueName: "name|uuid"))
    var pool: String?

    func validate() throws {
        guard primary == nil || pool == nil else { throw ValidationError("--primary and --pool exclude each other.") }
    }

    /// Whether a store was named.
    var isGiven: Bool { primary != nil || pool != nil }

    /// The store of `--primary`, else all pools of the settings; at least one.
    func pools(_ common: CommonOptions) throws -> [LXCHypervisor.Configuration.Pool] {
        if let primary { return [.init(primary)] }
        let settings = try common.settings()
        let pools = try settings.pools()
        guard !pools.isEmpty else { throw settings.missing("--primary", .primary) }
        return pools
    }

    /// The store that is meant: of `--primary`, of `--pool`, else the first of the settings.
    func chosen(_ common: CommonOptions) async throws -> LXCHypervisor.Configuration.Pool {
        let pools = try pools(common)
        guard let pool else { return pools[0] }
        if let index = try index(in: pools) { return pools[index] }
        // A UUID that the settings do not list: the pools themselves know theirs.
        let id = try PoolID(parsing: pool)
        for candidate in pools where candidate.id == nil {
            let location = try LXCHypervisor.StoreLocation(candidate.location)
            if (try? await location.primaryStore(logger: common.logger()).id) == id { return candidate }
        }
        throw unknown(pool, pools)
    }

    /// The pool of `--pool` among those of an open host; nil without the option.
    func poolID(in host: LXCHypervisor, _ common: CommonOptions) throws -> PoolID? {
        guard let pool else { return nil }
        let pools = try pools(common)
        // The host has them in the same order.
        if let index = try index(in: pools) { return host.pools[index].id }
        let id = try PoolID(parsing: pool)
        guard host.pools.contains(where: { $0.id == id }) else { throw unknown(pool, pools) }
        return id
    }

    /// Which of the pools `--pool` names; nil for a UUID that none of them is listed with.
    private func index(in pools: [LXCHypervisor.Configuration.Pool]) throws -> Int? {
        guard let pool else { return nil }
        if let id = try? PoolID(parsing: pool) { return pools.firstIndex { $0.id == id } }
        if let index = pools.firstIndex(where: { $0.location == pool }) { return index }
        let named = pools.indices.filter { Self.name(of: pools[$0]) == pool }
        guard let index = named.first else { throw unknown(pool, pools) }
        guard named.count == 1 else {
            throw LXCError(
                .invalidArgument,
                "--pool \(pool.escapedForDisplay) can be several: "
                    + named.map { pools[$0].location.escapedForDisplay }.joined(separator: ", ")
                    + "; give the whole location or the UUID")
        }
        return index
    }

    /// The last part of a pool's location.
    static func name(of pool: LXCHypervisor.Configuration.Pool) -> String {
        let path = pool.location.prefix { $0 != "?" }
        return path.split(separator: "/").last.map(String.init) ?? pool.location
    }

    private func unknown(_ pool: String, _ pools: [LXCHypervisor.Configuration.Pool]) -> LXCError {
        LXCError(
            .notFound,
            "the host has no pool \(pool.escapedForDisplay); it has "
                + pools.map { Locator($0.location).description }.joined(separator: ", "))
    }

    // MARK: Without a host

    func location(_ common: CommonOptions) async throws -> LXCHypervisor.StoreLocation {
        try LXCHypervisor.StoreLocation(await chosen(common).location)
    }

    func open(_ common: CommonOptions) async throws -> any PrimaryStore { try await chosen(common).open(common) }

    /// Opens the store, or begins one where nobody keeps anything and no pool is expected.
    ///
    /// - Returns: the store, and whether it was begun.
    func openOrCreate(_ common: CommonOptions) async throws -> (store: any PrimaryStore, isNew: Bool) {
        let pool = try await chosen(common)
        let location = try LXCHypervisor.StoreLocation(pool.location)
        let isNew =
            if pool.id == nil { try await location.createPrimaryStoreIfEmpty(logger: common.logger()) } else { false }
        return (try await pool.open(common), isNew)
    }
}

extension LXCHypervisor.Configuration.Pool {
    /// Opens the store; what is at its location must be the pool that is expected there.
    func open(
        _ common: CommonOptions, mounter: any HostMounter = ExistingMount()
    ) async throws -> any PrimaryStore {
        try await LXCHypervisor.StoreLocation(location).primaryStore(
            id: id, mounter: mounter, logger: common.logger())
    }
}
