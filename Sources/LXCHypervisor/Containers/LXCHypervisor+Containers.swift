// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import HypervisorDriver
public import LXCCore
import LibvirtXML
import Logging
import PrimaryStore
import VifDriver

extension LXCHypervisor {
    private var keeper: GuestKeeper { containerKeeper }

    /// Clones the root volume and defines the container in libvirt, stopped. Either all of this is done or nothing.
    ///
    /// - Parameters:
    ///   - specification: the container to create.
    ///   - progress: called while the volume is cloned.
    /// - Returns: the container.
    /// - Throws: `LXCError` `alreadyExists` if a guest of this host has the name or a hardware address, `notFound` if
    ///   the pool, the template in it or a bridge is missing, `invalidArgument`.
    public func createContainer(
        _ specification: ContainerSpecification, progress: ProgressHandler? = nil
    ) async throws -> Container {
        let name = specification.name
        return try await keeper.operation("container.create", on: name) {
            try await keeper.register.requireFree(name, for: .container)
            let store = try storePools.store(specification.pool)
            // Generates the document before creating anything, so that an invalid value has no side effects.
            _ = try specification.domain(root: "/", pool: store.id).xml()
            try await keeper.withNetwork(specification.nics, of: name, specification.uuid) { interfaces in
                try await keeper.ids.withIDMap(of: specification, in: store) {
                    try await build($0, in: store, interfaces, progress)
                }
            }
            return Container(name: name, keeper: keeper)
        }
    }

    /// Sets the identity of the container in its new volume.
    func identify(_ specification: ContainerSpecification, _ volume: GuestVolume) async throws {
        guard let identity = specification.identity else { return }
        let root = try await volume.store.root(of: volume.id)
        try await BlockingPool.shared.run { _ in
            try IdentityWriter(identity: identity, specification: specification, root: root).write()
        }
    }

    /// Clones the root volume of a container.
    func clone(
        _ specification: ContainerSpecification, in store: any PrimaryStore, _ progress: ProgressHandler?
    ) async throws -> GuestVolume {
        do {
            let volume = try await store.createVolume(
                specification.volume, from: specification.template, idMap: specification.idMap, progress: progress)
            return GuestVolume(id: volume.id, store: store)
        } catch let error as LXCError where error.code == .notFound {
            throw await storePools.explained(error, specification.template, in: store)
        }
    }

    private func build(
        _ specification: ContainerSpecification, in store: any PrimaryStore, _ interfaces: [Interface],
        _ progress: ProgressHandler?
    ) async throws {
        let volume = try await clone(specification, in: store, progress)
        var lease: VolumeLease?
        do {
            // Until the container is defined, the lease records whose volume it is: see ``leftovers(in:)``.
            lease = try await keeper.takeLease(on: volume, of: specification.name)
            try await identify(specification, volume)
            try await define(specification, volume, interfaces)
        } catch {
            await keeper.takeBack(specification.name, specification.uuid, volume, lease)
            throw error
        }
        await keeper.giveBackUnlessRunning(volume, of: specification.name)
    }

    /// Defines a container for its volume.
    func define(
        _ specification: ContainerSpecification, _ volume: GuestVolume, _ interfaces: [Interface]
    ) async throws {
        let root = try await volume.store.hostPath(of: volume.id)
        try await keeper.driver.define(
            specification.domain(root: root, interfaces: interfaces, pool: volume.store.id))
        guard specification.isAutostarted else { return }
        try await keeper.driver.autostart.setAutostart(true, of: specification.name)
    }

    /// Returns a container by name.
    ///
    /// - Throws: `LXCError` `notFound`.
    public func container(_ name: GuestName) async throws -> Container {
        _ = try await keeper.driver.guest(name)
        return Container(name: name, keeper: keeper)
    }

    /// All containers known to libvirt, sorted by name.
    ///
    /// - Throws: `LXCError` `unavailable`.
    public func containers() async throws -> [Container] {
        try await keeper.driver.guests().map { Container(name: $0.name, keeper: keeper) }
    }
}
