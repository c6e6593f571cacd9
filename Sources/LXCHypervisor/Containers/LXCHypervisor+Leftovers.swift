// SPDX-License-Identifier: Apache-2.0

public import FoundationEssentials
import HypervisorDriver
public import LXCCore
import LibvirtXML
import Logging
public import PrimaryStore

extension LXCHypervisor {
    /// What a crashed program, or a libvirtd that crashed with it, left behind for a host in a primary store.
    public struct Leftover: Hashable, Sendable, Codable {
        /// The volume or disk.
        public var volume: VolumeID
        /// The pool of the volume.
        public var pool: PoolID
        /// Whether the volume is the disk of a system VM.
        public var isDisk: Bool
        /// The template the volume was created from; `nil` if unknown.
        public var template: TemplateID?
        /// When the volume was created; `nil` if unknown.
        public var created: Date?
        /// The lease this host has on the volume although nothing on this host uses it; `nil` if there is none. A
        /// volume without a lease may belong to a guest of another host that is not running.
        public var lease: VolumeLease?
        /// The guest of this host that has the volume and is not running, in which case only the lease is left over;
        /// `nil` if no guest known to this program has the volume.
        public var guest: GuestName?

        /// Creates a leftover.
        public init(
            volume: VolumeID, pool: PoolID, isDisk: Bool = false, template: TemplateID? = nil, created: Date? = nil,
            lease: VolumeLease? = nil, guest: GuestName? = nil
        ) {
            self.volume = volume
            self.pool = pool
            self.isDisk = isDisk
            self.template = template
            self.created = created
            self.lease = lease
            self.guest = guest
        }
    }
}

extension LXCHypervisor {
    /// The contents of the primary stores that nothing on this host uses: leases this host has on volumes nothing runs
    /// from, and volumes that belong to no guest.
    ///
    /// The check covers the guests of this program's libvirtd and the processes of the host, so a volume that runs
    /// under another libvirtd of this host counts as in use. A volume leased by another host belongs to that host. A
    /// volume without a lease is listed if no guest known here has it; on a store shared between hosts it may belong to
    /// a stopped guest of another host.
    ///
    /// - Parameter pool: the pool to search; `nil` searches all pools and skips, with a log message, those that cannot
    ///   be reached, unless none can be.
    /// - Returns: the leftovers by pool, sorted by volume.
    /// - Throws: `LXCError` `unavailable` if libvirt or the store cannot be reached, `notFound` if this host does not
    ///   have the pool.
    public func leftovers(in pool: PoolID? = nil) async throws -> [Leftover] {
        try await leftovers(in: pool, heldBy: nil)
    }

    /// Returns the leftovers on behalf of an operation on a guest, which does not itself count as using a volume.
    private func leftovers(in pool: PoolID?, heldBy operated: GuestName?) async throws -> [Leftover] {
        let users = VolumeUsers(
            guests: try await guestsByVolume(),
            running: try await BlockingPool.shared.run { _ in VolumesInUse.current() }, operated: operated)
        if let pool { return try await leftovers(in: self.pool(pool), users) }
        var leftovers: [Leftover] = []
        var failures: [any Error] = []
        for store in pools {
            do {
                leftovers += try await self.leftovers(in: store, users)
            } catch let error as LXCError where error.code == .unavailable {
                failures.append(error)
                logger.warning(
                    "cannot look for leftovers in a pool", metadata: ["pool": "\(store.id)", "error": "\(error)"])
            }
        }
        if failures.count == pools.count, let failure = failures.first { throw failure }
        return leftovers
    }

    /// The users of the volumes in the host's pools.
    private struct VolumeUsers {
        struct Key: Hashable {
            let pool: PoolID
            let volume: VolumeID
        }

        /// The guests known to this program, containers and system VMs.
        var guests: [Key: (name: GuestName, isActive: Bool)]
        /// The volumes that processes of the host run from.
        var running: Set<VolumeID>
        /// The guest of the calling operation.
        var operated: GuestName?
    }

    private func leftovers(in store: any PrimaryStore, _ users: VolumeUsers) async throws -> [Leftover] {
        let leases = try await store.leases()
        let held = Dictionary(leases.map { ($0.volume, $0) }, uniquingKeysWith: { first, _ in first })
        let contents = try await store.contents()
        let volumes =
            contents.volumes.map {
                Leftover(volume: $0.id, pool: store.id, template: $0.template, created: $0.created)
            }
            + contents.disks.map {
                Leftover(volume: $0.id, pool: store.id, isDisk: true, template: $0.image, created: $0.created)
            }
        var leftovers: [Leftover] = []
        for var leftover in volumes where !users.running.contains(leftover.volume) {
            let guest = users.guests[.init(pool: store.id, volume: leftover.volume)]
            leftover.lease = held[leftover.volume]
            leftover.guest = guest?.name
            if let lease = leftover.lease, lease.holder != hostName { continue }
            if guest?.isActive == true { continue }
            if leftover.lease == nil, leftover.guest != nil { continue }
            if let lease = leftover.lease, await isUnderWay(lease, besides: users.operated) { continue }
            leftovers.append(leftover)
        }
        return leftovers.sorted { "\($0.volume)" < "\($1.volume)" }
    }

    /// Releases the lease left on a volume; the volume is kept.
    ///
    /// - Parameters:
    ///   - volume: the volume.
    ///   - pool: the pool of the volume; `nil` searches all pools.
    /// - Throws: `LXCError` `notFound` if the volume is not a leftover or has no lease.
    public func releaseLeftover(_ volume: VolumeID, in pool: PoolID? = nil) async throws {
        try await Operation.run("leftover.release", "\(volume)", logger) {
            let leftover = try await leftover(volume, in: pool)
            guard let lease = leftover.lease else {
                throw LXCError(.notFound, "this host has no lease on volume \(volume)")
            }
            try await self.pool(leftover.pool).releaseLease(lease)
            logger.notice(
                "gave back a lease that was left", metadata: ["volume": "\(volume)", "pool": "\(leftover.pool)"])
        }
    }

    /// Deletes a leftover volume and the lease on it.
    ///
    /// - Parameters:
    ///   - volume: the volume.
    ///   - pool: the pool of the volume; `nil` searches all pools.
    /// - Throws: `LXCError` `notFound` if the volume is not a leftover, `inUse` if a guest has it or it was taken in
    ///   the meantime.
    public func removeLeftover(_ volume: VolumeID, in pool: PoolID? = nil) async throws {
        try await Operation.run("leftover.remove", "\(volume)", logger) {
            let leftover = try await leftover(volume, in: pool)
            if let guest = leftover.guest {
                throw LXCError(
                    .inUse, "volume \(volume) is that of \(guest); destroy that, or give back the lease alone")
            }
            let store = try self.pool(leftover.pool)
            let map = leftover.isDisk ? nil : try? await store.volume(volume)?.idMap
            if let lease = leftover.lease { try await store.releaseLease(lease) }
            try await store.deleteVolume(volume)
            await containerKeeper.ids.release(map, of: GuestVolume(id: volume, store: store))
            logger.notice(
                "removed a volume that was left", metadata: ["volume": "\(volume)", "pool": "\(leftover.pool)"])
        }
    }

    /// Creates a stopped container from a leftover volume. The volume is used as it is, with its existing owners.
    ///
    /// - Parameter specification: the container to create; its volume is the leftover, in the pool the specification
    ///   names or, if it names none, in whichever pool has the volume.
    /// - Returns: the container.
    /// - Throws: `LXCError` `notFound` if the volume is not a leftover, `inUse` if a guest has it, `alreadyExists` if
    ///   there is a guest of that name, and the errors of ``createContainer(_:progress:)``.
    public func adoptLeftover(_ specification: ContainerSpecification) async throws -> Container {
        let (name, volume, keeper) = (specification.name, specification.volume, containerKeeper)
        return try await keeper.operation("container.adopt", on: name) {
            try await keeper.register.requireFree(name, for: .container)
            let leftover = try await leftover(volume, in: specification.pool, heldBy: name)
            let store = try self.pool(leftover.pool)
            guard leftover.guest == nil, !leftover.isDisk,
                let stored = try await store.contents().volumes.first(where: { $0.id == volume })
            else {
                throw LXCError(.inUse, "volume \(volume) is a guest's or no container's root; it cannot be adopted")
            }
            if let lease = leftover.lease { try await store.releaseLease(lease) }
            try await adopt(using(stored, specification), GuestVolume(id: volume, store: store))
            return Container(name: name, keeper: keeper)
        }
    }

    /// Defines a container for an existing volume, which is kept if this fails.
    private func adopt(_ specification: ContainerSpecification, _ volume: GuestVolume) async throws {
        let (name, keeper) = (specification.name, containerKeeper)
        let lease = try await keeper.takeLease(on: volume, of: name)
        do {
            try await keeper.withNetwork(specification.nics, of: name, specification.uuid) { interfaces in
                do {
                    try await define(specification, volume, interfaces)
                } catch {
                    await withoutCancellation {
                        guard (try? await keeper.driver.guest(name))?.uuid == specification.uuid else { return }
                        try? await keeper.driver.undefine(name)
                    }
                    throw error
                }
            }
        } catch {
            await withoutCancellation { try? await volume.store.releaseLease(lease) }
            throw error
        }
        await keeper.giveBackUnlessRunning(volume, of: name)
    }

    /// Logs the leftovers for the service: only leases of this host, which are certain to be its own.
    func reportLeftovers() async {
        do {
            for leftover in try await leftovers() {
                guard let lease = leftover.lease else { continue }
                logger.warning(
                    "a lease of this host is left on a volume nobody uses",
                    metadata: [
                        "volume": "\(leftover.volume)", "pool": "\(leftover.pool)",
                        "use": "\(lease.use?.escapedForDisplay ?? "unknown")",
                        "container": "\(leftover.guest?.description ?? "none")",
                    ])
            }
        } catch {
            logger.debug("cannot look for leftovers", metadata: ["error": "\(error)"])
        }
    }

    private func leftover(
        _ volume: VolumeID, in pool: PoolID?, heldBy operated: GuestName? = nil
    ) async throws -> Leftover {
        let found = try await leftovers(in: pool, heldBy: operated).filter { $0.volume == volume }
        guard let leftover = found.first else {
            throw LXCError(
                .notFound,
                "volume \(volume) is not left over: it is not there, or a guest, an operation or another host has it")
        }
        guard found.count == 1 else {
            let pools = found.map(\.pool.description).joined(separator: " and ")
            throw LXCError(.invalidArgument, "volume \(volume) is left in the pools \(pools); say which is meant")
        }
        return leftover
    }

    /// The guests known to this program, containers and system VMs, by their volumes in the host's pools.
    private func guestsByVolume() async throws -> [VolumeUsers.Key: (name: GuestName, isActive: Bool)] {
        var guests = try await guestsByVolume(of: containerKeeper)
        if let systemVMKeeper, let others = try? await guestsByVolume(of: systemVMKeeper) {
            guests.merge(others) { own, _ in own }
        }
        return guests
    }

    private func guestsByVolume(
        of keeper: GuestKeeper
    ) async throws -> [VolumeUsers.Key: (name: GuestName, isActive: Bool)] {
        var guests: [VolumeUsers.Key: (name: GuestName, isActive: Bool)] = [:]
        for guest in try await keeper.driver.guests() {
            // A guest that is gone was removed in the meantime.
            guard let domain = try await keeper.driver.definitionIfAny(of: guest.name),
                let metadata = try domain.containerMetadata()
            else { continue }
            guests[.init(pool: metadata.pool, volume: metadata.volume)] = (guest.name, guest.state.isActive)
        }
        return guests
    }

    /// Whether an operation on the guest of a lease is in progress, in any program.
    private func isUnderWay(_ lease: VolumeLease, besides operated: GuestName?) async -> Bool {
        guard let name = lease.use?.split(separator: " ").last, let guest = try? GuestName(String(name)),
            guest != operated
        else { return false }
        do {
            return try await containerKeeper.locks.hold(guest, for: "a look for leftovers", within: .zero) { false }
        } catch {
            return true
        }
    }
}
