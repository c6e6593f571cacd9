public import FoundationEssentials
import HypervisorDriver
public import LXCCore
import LibvirtXML
import Logging
public import PrimaryStore

extension LXCHypervisor {
    /// What a program that died, or a libvirtd that died with it, left of a host in its primary store.
    public struct Leftover: Hashable, Sendable, Codable {
        /// The volume, or the disk.
        public var volume: VolumeID
        /// Whether it is the disk of a system VM.
        public var isDisk: Bool
        /// What it was made from; nil where that is not known.
        public var template: TemplateID?
        /// When it was made; nil where that is not known.
        public var created: Date?
        /// The lease this host has on it although nobody on this host uses it; nil where there is none. A volume
        /// without one may be another host's, for a guest that does not run.
        public var lease: VolumeLease?
        /// The guest of this host that has the volume and does not run: then the lease alone is left. nil where no
        /// guest this program knows has it.
        public var guest: GuestName?

        /// Creates a leftover.
        public init(
            volume: VolumeID, isDisk: Bool = false, template: TemplateID? = nil, created: Date? = nil,
            lease: VolumeLease? = nil, guest: GuestName? = nil
        ) {
            self.volume = volume
            self.isDisk = isDisk
            self.template = template
            self.created = created
            self.lease = lease
            self.guest = guest
        }
    }
}

extension LXCHypervisor {
    /// What is in the primary store and nobody on this host uses: leases this host has on volumes nothing runs from, and
    /// volumes that belong to no guest.
    ///
    /// Guests of this program's libvirtd are asked for, and processes of the host looked at: what runs under another
    /// libvirtd of this host is in use. A volume another host has leased is its own. One without a lease is listed when
    /// no guest known here has it; on a store that hosts share it may be that of another host's stopped guest.
    ///
    /// - Returns: what is left, ordered by volume.
    /// - Throws: `LXCError` `unavailable` when libvirt or the store cannot be reached.
    public func leftovers() async throws -> [Leftover] { try await leftovers(heldBy: nil) }

    /// The same, called by an operation on a guest: that operation is not one that uses a volume.
    private func leftovers(heldBy operated: GuestName?) async throws -> [Leftover] {
        let leases = try await primary.leases()
        let guests = try await volumesOfGuests()
        let running = try await BlockingPool.shared.run { _ in VolumesInUse.current() }
        let held = Dictionary(leases.map { ($0.volume, $0) }, uniquingKeysWith: { first, _ in first })
        let contents = try await primary.contents()
        let volumes =
            contents.volumes.map { Leftover(volume: $0.id, template: $0.template, created: $0.created) }
            + contents.disks.map { Leftover(volume: $0.id, isDisk: true, template: $0.image, created: $0.created) }
        var leftovers: [Leftover] = []
        for var leftover in volumes where !running.contains(leftover.volume) {
            leftover.lease = held[leftover.volume]
            leftover.guest = guests[leftover.volume]?.name
            if let lease = leftover.lease, lease.holder != hostName { continue }
            if guests[leftover.volume]?.isActive == true { continue }
            if leftover.lease == nil, leftover.guest != nil { continue }
            if let lease = leftover.lease, await isUnderWay(lease, besides: operated) { continue }
            leftovers.append(leftover)
        }
        return leftovers.sorted { "\($0.volume)" < "\($1.volume)" }
    }

    /// Gives back the lease that is left on a volume; the volume stays.
    ///
    /// - Throws: `LXCError` `notFound` when it is no leftover, or has no lease.
    public func releaseLeftover(_ volume: VolumeID) async throws {
        try await Operation.run("leftover.release", "\(volume)", logger) {
            guard let lease = try await leftover(volume).lease else {
                throw LXCError(.notFound, "this host has no lease on volume \(volume)")
            }
            try await primary.releaseLease(lease)
            logger.notice("gave back a lease that was left", metadata: ["volume": "\(volume)"])
        }
    }

    /// Deletes a volume that is left, and the lease on it.
    ///
    /// - Throws: `LXCError` `notFound` when it is no leftover, `inUse` when a guest has it or somebody took it meanwhile.
    public func removeLeftover(_ volume: VolumeID) async throws {
        try await Operation.run("leftover.remove", "\(volume)", logger) {
            let leftover = try await leftover(volume)
            if let guest = leftover.guest {
                throw LXCError(
                    .inUse, "volume \(volume) is that of \(guest); destroy that, or give back the lease alone")
            }
            let map = leftover.isDisk ? nil : try? await primary.volume(volume)?.idMap
            if let lease = leftover.lease { try await primary.releaseLease(lease) }
            try await primary.deleteVolume(volume)
            await releaseIDs(map, of: volume)
            logger.notice("removed a volume that was left", metadata: ["volume": "\(volume)"])
        }
    }

    /// Makes a container of a volume that is left, stopped. The volume is used as it is, with the owners it has.
    ///
    /// - Parameter specification: what the container is to be; its volume is the leftover.
    /// - Returns: the container.
    /// - Throws: `LXCError` `notFound` when the volume is no leftover, `inUse` when a guest has it, `alreadyExists` when
    ///   there is a container of the name, and as ``createContainer(_:progress:)``.
    public func adoptLeftover(_ specification: ContainerSpecification) async throws -> Container {
        let (name, volume) = (specification.name, specification.volume)
        return try await operation("container.adopt", on: name) {
            guard try await guest(name) == nil else {
                throw LXCError(.alreadyExists, "there is a container \(name) already; destroy it or take another name")
            }
            let leftover = try await leftover(volume, heldBy: name)
            guard leftover.guest == nil, !leftover.isDisk,
                let stored = try await primary.contents().volumes.first(where: { $0.id == volume })
            else {
                throw LXCError(.inUse, "volume \(volume) is a guest's or no container's root; it cannot be adopted")
            }
            if let lease = leftover.lease { try await primary.releaseLease(lease) }
            try await define(using(stored, specification))
            return Container(name: name, host: self)
        }
    }

    /// Defines a container over a volume that is there, and stays when this fails.
    private func define(_ specification: ContainerSpecification) async throws {
        let (name, volume) = (specification.name, specification.volume)
        let lease = try await takeLease(on: volume, of: name)
        do {
            let interfaces = try await connect(addressed(specification.nics, of: specification.uuid), of: name)
            do {
                let root = try await primary.hostPath(of: volume)
                try await driver.define(specification.domain(root: root, interfaces: interfaces, pool: primary.id))
                if specification.isAutostarted { try await driver.autostart.setAutostart(true, of: name) }
            } catch {
                await Task {
                    if (try? await driver.guest(name))?.uuid == specification.uuid { try? await driver.undefine(name) }
                }.value
                await takeBackNetwork(interfaces, of: name, specification.uuid)
                throw error
            }
        } catch {
            await Task { try? await primary.releaseLease(lease) }.value
            throw error
        }
        await giveBackUnlessRunning(volume, of: name)
    }

    /// Says in the log what is left, for the service: leases of this host alone, which are its own for certain.
    func reportLeftovers() async {
        do {
            for leftover in try await leftovers() {
                guard let lease = leftover.lease else { continue }
                logger.warning(
                    "a lease of this host is left on a volume nobody uses",
                    metadata: [
                        "volume": "\(leftover.volume)", "use": "\(lease.use?.escapedForDisplay ?? "unknown")",
                        "container": "\(leftover.guest?.description ?? "none")",
                    ])
            }
        } catch {
            logger.debug("cannot look for leftovers", metadata: ["error": "\(error)"])
        }
    }

    private func leftover(_ volume: VolumeID, heldBy operated: GuestName? = nil) async throws -> Leftover {
        guard let leftover = try await leftovers(heldBy: operated).first(where: { $0.volume == volume }) else {
            throw LXCError(
                .notFound,
                "volume \(volume) is not left over: it is not there, or a guest, an operation or another host has it")
        }
        return leftover
    }

    /// The guests this program knows, containers and system VMs, by their volumes in this store.
    private func volumesOfGuests() async throws -> [VolumeID: (name: GuestName, isActive: Bool)] {
        var volumes = try await volumesOfOwnGuests()
        if let machines, let others = try? await machines.volumesOfOwnGuests() {
            volumes.merge(others) { own, _ in own }
        }
        return volumes
    }

    private func volumesOfOwnGuests() async throws -> [VolumeID: (name: GuestName, isActive: Bool)] {
        var volumes: [VolumeID: (name: GuestName, isActive: Bool)] = [:]
        for guest in try await driver.guests() {
            do {
                let metadata = try await driver.definition(of: guest.name).containerMetadata()
                guard let metadata, metadata.pool == primary.id else { continue }
                volumes[metadata.volume] = (guest.name, guest.state.isActive)
            } catch let error as LXCError where error.code == .notFound {
                // It was forgotten meanwhile.
            }
        }
        return volumes
    }

    /// Whether an operation on the guest a lease is for is under way now, in whichever program.
    private func isUnderWay(_ lease: VolumeLease, besides operated: GuestName?) async -> Bool {
        guard let name = lease.use?.split(separator: " ").last, let guest = try? GuestName(String(name)),
            guest != operated
        else { return false }
        do {
            return try await locks.hold(guest, for: "a look for leftovers", within: .zero) { false }
        } catch {
            return true
        }
    }
}
