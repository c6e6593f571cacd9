import HypervisorDriver
import LXCCore
import LibvirtXML
import Logging
import PrimaryStore

/// Which host ids a container gets, and that no other of the host gets one of them.
extension LXCHypervisor {
    /// Runs `body`, which makes or uses a volume, with the specification's id map chosen and claimed in the host's book.
    ///
    /// - Throws: `LXCError` `inUse` naming whose the ids are, where the map is given and another has some of them;
    ///   `limitExceeded` when none are left; what `body` throws. The claim goes then, unless the volume was there.
    func withIDMap<Value>(
        of specification: ContainerSpecification, _ body: (ContainerSpecification) async throws -> Value
    ) async throws -> Value {
        var specification = specification
        let privilege = specification.privilege ?? policy.defaultPrivilege
        specification.privilege = privilege
        let isNew: Bool
        switch privilege {
        case .privileged: return try await body(specification)
        case .isolated:
            specification.privilege = .unprivileged(try await claimFreeIDs(for: specification))
            isNew = true
        case .unprivileged(let map):
            isNew = try await claim(map, for: specification.name, specification.volume)
        }
        do {
            let value = try await body(specification)
            await notePlace(of: specification.volume)
            return value
        } catch {
            if isNew, case .unprivileged(let map) = specification.privilege {
                await releaseUnusedIDs(map, of: specification.volume)
            }
            throw error
        }
    }

    /// Claims a range nobody has.
    private func claimFreeIDs(for specification: ContainerSpecification) async throws -> IDMap {
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
                    "there are no \(policy.idMaps.count) host ids left for container \(specification.name); give root more "
                        + "in /etc/subuid and /etc/subgid")
            }
            try await book.add(newClaim(specification.name, specification.volume), on: range)
            return try IDMap(host: range.lowerBound, count: policy.idMaps.count)
        }
    }

    /// Claims the ids of a map for a volume.
    ///
    /// - Returns: whether they were not its own already.
    /// - Throws: `LXCError` `inUse`.
    @discardableResult
    func claim(_ map: IDMap, for name: GuestName, _ volume: VolumeID) async throws -> Bool {
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

    /// Gives back the ids of a volume that was deleted. They stay claimed, and are found to be nobody's later, where that
    /// fails.
    func releaseIDs(_ map: IDMap?, of volume: VolumeID) async {
        guard let map else { return }
        await Task { [logger] in
            do {
                try await withBook { book in
                    for ids in Set(map.hostRanges) {
                        guard let claim = try await book.claim(of: ids), isOwn(claim, volume) else { continue }
                        try await book.remove(ids)
                    }
                }
            } catch {
                logger.warning(
                    "cannot give back host ids", metadata: ["volume": "\(volume)", "error": "\(error)"])
            }
        }.value
    }

    /// Gives back what was claimed for a volume that was not made.
    private func releaseUnusedIDs(_ map: IDMap, of volume: VolumeID) async {
        await Task {
            guard case .some(false) = try? await hasVolume(volume) else { return }
            await releaseIDs(map, of: volume)
        }.value
    }

    // MARK: The book

    private var book: HostIDBook { HostIDBook(directory: policy.idMaps.directory) }

    /// Calls `body` with the book held, with all in it that this pool holds.
    private func withBook<Value>(_ body: (HostIDBook) async throws -> Value) async throws -> Value {
        let book = book
        return try await book.hold {
            if try await book.place(of: primary.id) == nil { try await enter(in: book) }
            return try await body(book)
        }
    }

    /// Enters what there is: the store's volumes, and the containers the hypervisor knows. Once for a pool.
    private func enter(in book: HostIDBook) async throws {
        var found: [(map: IDMap, name: String, volume: VolumeID)] = []
        for volume in try await primary.contents().volumes {
            if let map = volume.idMap { found.append((map, "of that volume", volume.id)) }
        }
        for guest in try await driver.guests() {
            do {
                let domain = try await driver.definition(of: guest.name)
                guard let map = domain.idMap else { continue }
                let volume = try domain.containerMetadata()?.volume ?? VolumeID(guest.uuid)
                found.append((map, guest.name.description, volume))
            } catch let error as LXCError where error.code == .notFound {
                // It was forgotten meanwhile; its volume is in the store.
            }
        }
        let claimed = Set(try await book.claimed())
        for (map, name, volume) in found {
            let claim = HostIDBook.Claim(pool: primary.id, volume: volume, container: name, claimer: .current)
            for ids in map.hostRanges where !claimed.contains(ids) { try await book.add(claim, on: ids) }
        }
        try await book.note(primary.id, at: "")
    }

    private func newClaim(_ name: GuestName, _ volume: VolumeID) -> HostIDBook.Claim {
        HostIDBook.Claim(pool: primary.id, volume: volume, container: name.description, claimer: .current)
    }

    private func isOwn(_ claim: HostIDBook.Claim, _ volume: VolumeID) -> Bool {
        claim.volume == volume && claim.pool == primary.id
    }

    private func hasClaimed(_ wanted: Set<Range<UInt32>>, _ volume: VolumeID) async throws -> Bool {
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

    /// Removes claims of nobody, of those a random few are looked at: so a book never fills with them, and no call looks at
    /// all of it.
    private func sweep(_ book: HostIDBook, _ taken: inout [Range<UInt32>], atMost count: Int) async throws {
        for ids in count < taken.count ? Array(taken.shuffled().prefix(count)) : taken {
            guard let claim = try await book.claim(of: ids), try await isStale(claim, book) else { continue }
            try await book.remove(ids)
            taken.removeAll { $0 == ids }
        }
    }

    /// Whether a claim is nobody's: its volume is gone, and nobody is about to make it.
    private func isStale(_ claim: HostIDBook.Claim, _ book: HostIDBook) async throws -> Bool {
        if claim.claimer.isRunning { return false }
        guard claim.pool == primary.id else { return try await book.isRemoved(claim.pool) }
        return try await !hasVolume(claim.volume)
    }

    private func hasVolume(_ volume: VolumeID) async throws -> Bool {
        do {
            return try await primary.volume(volume) != nil
        } catch let error as LXCError where error.code == .corrupt || error.code == .limitExceeded {
            // What cannot be read is there all the same.
            return true
        }
    }

    /// Notes where the pool is, by which its claims are known to be nobody's once it was removed.
    private func notePlace(of volume: VolumeID) async {
        let book = book
        do {
            guard try await book.place(of: primary.id) == "" else { return }
            let path = try await primary.hostPath(of: volume)
            let place = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? path
            try await book.hold { try await book.note(primary.id, at: place) }
        } catch {
            logger.debug("cannot note where the pool is", metadata: ["error": "\(error)"])
        }
    }
}
