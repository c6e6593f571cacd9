// SPDX-License-Identifier: Apache-2.0

import HypervisorDriver
public import LXCCore
import LibvirtXML
import Logging
import PrimaryStore

extension LXCHypervisor {
    /// Starts a container from nothing (CloudStack's StartCommand): creates it where there is none of the name, and starts
    /// it. Without ``Policy/keepsDefinitions`` libvirt forgets it when it ends.
    ///
    /// - Parameters:
    ///   - specification: what the container is to be.
    ///   - progress: called while the volume is cloned.
    /// - Returns: the running container.
    /// - Throws: `LXCError` as ``createContainer(_:progress:)`` and ``Container/start()`` say.
    @discardableResult
    public func startContainer(
        _ specification: ContainerSpecification, progress: ProgressHandler? = nil
    ) async throws -> Container {
        if !policy.keepsDefinitions {
            return try await startTransientContainer(specification, progress: progress)
        }
        let container =
            if try await containerKeeper.guest(specification.name) == nil {
                try await createContainer(specification, progress: progress)
            } else {
                Container(name: specification.name, keeper: containerKeeper)
            }
        try await container.start()
        return container
    }

    /// Starts a container that libvirt forgets when it ends, for controllers that keep what they run themselves.
    ///
    /// Its volume is cloned where the store has none of that id. It stays when the container ends: delete it with the
    /// store's `deleteVolume`, or with ``Container/delete()`` while the container runs.
    ///
    /// - Parameters:
    ///   - specification: what the container is to be.
    ///   - progress: called while the volume is cloned.
    /// - Returns: the running container.
    /// - Throws: `LXCError` `alreadyExists` when there is a guest of the name, `inUse` when another host has the volume,
    ///   `unsafe` when the volume's root was made dangerous to start from, `notFound` without the template or a bridge,
    ///   `invalidArgument`, `unsupported` for a driver that cannot.
    @discardableResult
    public func startTransientContainer(
        _ specification: ContainerSpecification, progress: ProgressHandler? = nil
    ) async throws -> Container {
        let (name, keeper) = (specification.name, containerKeeper)
        return try await keeper.operation("container.run", on: name) {
            // Asked before anything is built.
            _ = try keeper.driver.transientGuests
            try await keeper.register.requireFree(name, for: .container)
            let store = try storePools.store(specification.pool)
            // The document is made before anything is built, so that a bad value costs nothing.
            _ = try specification.domain(root: "/", pool: store.id).xml()
            if let stored = try await store.volume(specification.volume) {
                try await keeper.ids.withIDMap(of: using(stored, specification), in: store) {
                    try await runTransient($0, GuestVolume(id: stored.id, store: store))
                }
            } else {
                try await keeper.ids.withIDMap(of: specification, in: store) { specification in
                    let volume = try await clone(specification, in: store, progress)
                    do {
                        try await identify(specification, volume)
                        try await runTransient(specification, volume)
                    } catch {
                        await discard(volume, of: name)
                        throw error
                    }
                }
            }
            return Container(name: name, keeper: keeper)
        }
    }

    /// The specification with the owners a volume has. One whose owners are the host's is never run so unasked.
    func using(
        _ volume: StoredVolume, _ specification: ContainerSpecification
    ) throws -> ContainerSpecification {
        let isUnsaid = specification.privilege == nil
        guard isUnsaid || specification.privilege == .isolated else { return specification }
        var specification = specification
        if let map = volume.idMap {
            specification.privilege = .unprivileged(map)
        } else if isUnsaid, policy.defaultPrivilege == .privileged {
            specification.privilege = .privileged
        } else {
            throw LXCError(
                .invalidArgument,
                "volume \(volume.id) was made without an id map, so only a privileged container can have it; say so in the "
                    + "specification of \(specification.name), or make a new volume")
        }
        return specification
    }

    private func runTransient(_ specification: ContainerSpecification, _ volume: GuestVolume) async throws {
        let (name, keeper) = (specification.name, containerKeeper)
        try await keeper.takeLease(on: volume, of: name)
        do {
            try await keeper.withNetwork(specification.nics, of: name, specification.uuid) { interfaces in
                let root = try await volume.store.hostPath(of: volume.id)
                var domain = try specification.domain(root: root, interfaces: interfaces, pool: volume.store.id)
                if var metadata = try domain.containerMetadata() {
                    metadata.initSignal = try await keeper.initSignal(of: domain, volume)
                    try domain.setContainerMetadata(metadata)
                }
                try await keeper.driver.transientGuests.startTransient(domain)
            }
        } catch {
            await keeper.giveBack(volume, [], unlessRunning: name)
            throw error
        }
    }

    /// Deletes the volume made for a container that did not start, unless that runs after all.
    private func discard(_ volume: GuestVolume, of name: GuestName) async {
        await withoutCancellation { [self] in
            do {
                _ = try await containerKeeper.driver.guest(name)
                return
            } catch let error as LXCError where error.code == .notFound {
                do {
                    try await containerKeeper.giveBackLease(on: volume, of: name)
                    try await volume.store.deleteVolume(volume.id)
                } catch {
                    logger.warning(
                        "cannot delete the volume of a container that did not start",
                        metadata: ["container": "\(name)", "volume": "\(volume.id)", "error": "\(error)"])
                }
            } catch {
                logger.warning(
                    "cannot tell whether a container runs; its volume stays",
                    metadata: ["container": "\(name)", "volume": "\(volume.id)", "error": "\(error)"])
            }
        }
    }
}
