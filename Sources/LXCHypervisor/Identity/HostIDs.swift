// SPDX-License-Identifier: Apache-2.0

import HypervisorDriver
import LXCCore
import LibvirtXML
import Logging
import PrimaryStore

/// Assigns host ids to containers so that no two containers of the host share one.
struct HostIDs: Sendable {
    /// The driver that runs the containers.
    let driver: any HypervisorDriver
    let pools: StorePools
    let policy: LXCHypervisor.Policy
    let logger: Logger

    /// Runs `body`, which creates or uses a volume, with the specification's id map chosen and claimed in the host's
    /// book.
    ///
    /// - Throws: `LXCError` `inUse` naming the owner if the map is given and some of its ids belong to another;
    ///   `limitExceeded` if no ids are left; errors thrown by `body`. The claim is then released, unless the volume
    ///   existed before.
    func withIDMap<Value>(
        of specification: LXCHypervisor.ContainerSpecification, in store: any PrimaryStore,
        _ body: (LXCHypervisor.ContainerSpecification) async throws -> Value
    ) async throws -> Value {
        var specification = specification
        let volume = GuestVolume(id: specification.volume, store: store)
        let privilege = specification.privilege ?? policy.defaultPrivilege
        specification.privilege = privilege
        let isNew: Bool
        switch privilege {
        case .privileged: return try await body(specification)
        case .isolated:
            specification.privilege = .unprivileged(try await claimFreeIDs(for: specification.name, volume))
            isNew = true
        case .unprivileged(let map):
            isNew = try await claim(map, for: specification.name, volume)
        }
        do {
            let value = try await body(specification)
            await notePlace(of: volume)
            return value
        } catch {
            if isNew, case .unprivileged(let map) = specification.privilege {
                await releaseUnusedIDs(map, of: volume)
            }
            throw error
        }
    }

    /// Claims a free range.
    private func claimFreeIDs(for name: GuestName, _ volume: GuestVolume) async throws -> IDMap {
        let available = try policy.idMaps.available()
        return try await withBook { book in
            let live = try await liveIDs()
            var taken = try await book.claimed()
            try await sweep(book, &taken, atMost: 8)
            if policy.idMaps.first(in: available, avoiding: taken + live) == nil {
                try await sweep(book, &taken, atMost: .max)
            }
            guard let range = policy.idMaps.first(in: available, avoiding: taken + live) else {
                throw LXCError(
                    .limitExceeded,
                    "there are no \(policy.idMaps.count) host ids left for container \(name); give root more "
                        + "in /etc/subuid and /etc/subgid")
            }
            try await book.add(newClaim(name, volume), on: range)
            return try IDMap(host: range.lowerBound, count: policy.idMaps.count)
        }
    }

    /// Claims the ids of a map for a volume.
    ///
    /// - Returns: whether the claim is new, not already the volume's own.
    /// - Throws: `LXCError` `inUse`.
    @discardableResult
    func claim(_ map: IDMap, for name: GuestName, _ volume: GuestVolume) async throws -> Bool {
        let wanted = Set(map.hostRanges)
        if try await hasClaimed(wanted, volume) { return false }
        return try await withBook { book in
            let live = try await liveIDs()
            let others = try await book.claimed().filter { claimed in wanted.contains { $0.overlaps(claimed) } }
            for ids in others {
                guard let claim = try await book.claim(of: ids), !isOwn(claim, volume) else { continue }
                guard try await isStale(claim, book) else {
                    throw LXCError(
                        .inUse,
                        "the host ids \(HostIDBook.text(ids)) that container \(name) is to have are those of container "
                            + "\(claim.container.escapedForDisplay), volume \(claim.volume) in the pool \(claim.pool); give "
                            + "it other ids, or no map, and it gets ids of its own")
                }
                try await book.remove(ids)
            }
            if let ids = live.first(where: { live in wanted.contains { $0.overlaps(live) } }) {
                throw LXCError(
                    .inUse,
                    "processes that run on this host have the ids \(HostIDBook.text(ids)) that container \(name) is to "
                        + "have; give it other ids, or no map, and it gets ids of its own")
            }
            for ids in wanted { try await book.add(newClaim(name, volume), on: ids) }
            return true
        }
    }

    /// Releases the ids of a deleted volume. If that fails, they stay claimed until the claim is found to be stale.
    func release(_ map: IDMap?, of volume: GuestVolume) async {
        guard let map else { return }
        await withoutCancellation {
            do {
                try await withBook { book in
                    for ids in Set(map.hostRanges) {
                        guard let claim = try await book.claim(of: ids), isOwn(claim, volume) else { continue }
                        try await book.remove(ids)
                    }
                }
            } catch {
                logger.warning(
                    "cannot give back host ids", metadata: ["volume": "\(volume.id)", "error": "\(error)"])
            }
        }
    }

    /// Releases the ids claimed for a volume that was not created.
    private func releaseUnusedIDs(_ map: IDMap, of volume: GuestVolume) async {
        await withoutCancellation {
            guard case .some(false) = try? await has(volume) else { return }
            await release(map, of: volume)
        }
    }

    // MARK: The book

    private var book: HostIDBook { HostIDBook(directory: policy.idMaps.directory) }

    /// Calls `body` while holding the book, with all ids in use in the pools entered.
    private func withBook<Value>(_ body: (HostIDBook) async throws -> Value) async throws -> Value {
        let book = book
        return try await book.hold {
            for store in pools.stores where try await book.place(of: store.id) == nil {
                do {
                    try await enter(store, in: book)
                } catch let error as LXCError where error.code == .unavailable && pools.stores.count > 1 {
                    // A start from the pool claims its volume's ids, and conflicts with their owner only then.
                    logger.warning(
                        "cannot enter the host ids of a pool that is not there",
                        metadata: ["pool": "\(store.id)", "error": "\(error)"])
                }
            }
            return try await body(book)
        }
    }

    /// Enters the existing ids: those of the store's volumes and of the containers the hypervisor knows. Once per pool.
    private func enter(_ store: any PrimaryStore, in book: HostIDBook) async throws {
        var found: [(map: IDMap, name: String, volume: VolumeID)] = []
        for volume in try await store.contents().volumes {
            if let map = volume.idMap { found.append((map, "of that volume", volume.id)) }
        }
        for guest in try await driver.guests() {
            do {
                let domain = try await driver.definition(of: guest.name)
                guard let map = domain.idMap else { continue }
                let metadata = try domain.containerMetadata()
                if let other = metadata?.pool, other != store.id, pools[other] != nil { continue }
                found.append((map, guest.name.description, metadata?.volume ?? VolumeID(guest.uuid)))
            } catch let error as LXCError where error.code == .notFound {
                // It was undefined in the meantime; its volume is in the store.
            }
        }
        let claimed = Set(try await book.claimed())
        for (map, name, volume) in found {
            let claim = HostIDBook.Claim(pool: store.id, volume: volume, container: name, claimer: .current)
            for ids in map.hostRanges where !claimed.contains(ids) { try await book.add(claim, on: ids) }
        }
        try await book.note(store.id, at: "")
    }

    private func newClaim(_ name: GuestName, _ volume: GuestVolume) -> HostIDBook.Claim {
        HostIDBook.Claim(
            pool: volume.store.id, volume: volume.id, container: name.description, claimer: .current)
    }

    private func isOwn(_ claim: HostIDBook.Claim, _ volume: GuestVolume) -> Bool {
        claim.volume == volume.id && claim.pool == volume.store.id
    }

    private func hasClaimed(_ wanted: Set<Range<UInt32>>, _ volume: GuestVolume) async throws -> Bool {
        let book = book
        for ids in wanted {
            guard let claim = try await book.claim(of: ids), isOwn(claim, volume) else { return false }
        }
        return true
    }

    private func liveIDs() async throws -> [Range<UInt32>] {
        guard policy.idMaps.respectsProcesses else { return [] }
        return try await BlockingPool.shared.run { _ in LiveIDMaps.read() }
    }

    /// Removes stale claims, checking a random few each time: the book never fills with them, and no call checks all of
    /// it.
    private func sweep(_ book: HostIDBook, _ taken: inout [Range<UInt32>], atMost count: Int) async throws {
        for ids in count < taken.count ? Array(taken.shuffled().prefix(count)) : taken {
            guard let claim = try await book.claim(of: ids), try await isStale(claim, book) else { continue }
            try await book.remove(ids)
            taken.removeAll { $0 == ids }
        }
    }

    /// Whether a claim is stale: its volume is gone, and no process is about to create it.
    private func isStale(_ claim: HostIDBook.Claim, _ book: HostIDBook) async throws -> Bool {
        if claim.claimer.isRunning { return false }
        guard let store = pools[claim.pool] else { return try await book.isRemoved(claim.pool) }
        return try await !has(GuestVolume(id: claim.volume, store: store))
    }

    private func has(_ volume: GuestVolume) async throws -> Bool {
        do {
            return try await volume.store.volume(volume.id) != nil
        } catch let error as LXCError where [.corrupt, .limitExceeded, .unavailable].contains(error.code) {
            // A volume that cannot be read exists all the same, and so may one in an unreachable pool.
            return true
        }
    }

    /// Records the pool's place, by which its claims are known to be stale once the pool was removed.
    private func notePlace(of volume: GuestVolume) async {
        let book = book
        do {
            guard try await book.place(of: volume.store.id) == "" else { return }
            let path = try await volume.store.hostPath(of: volume.id)
            let place = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? path
            try await book.hold { try await book.note(volume.store.id, at: place) }
        } catch {
            logger.debug("cannot note where the pool is", metadata: ["error": "\(error)"])
        }
    }
}
