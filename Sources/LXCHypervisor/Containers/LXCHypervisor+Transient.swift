// SPDX-License-Identifier: Apache-2.0

import HypervisorDriver
public import LXCCore
import LibvirtXML
import Logging
import PrimaryStore

extension LXCHypervisor {
    /// Creates a container if there is none of that name, and starts it (CloudStack's StartCommand). Without
    /// ``Policy/keepsDefinitions`` the container is transient: libvirt forgets it when it ends.
    ///
    /// - Parameters:
    ///   - specification: the container to start.
    ///   - progress: called while the volume is cloned.
    /// - Returns: the running container.
    /// - Throws: `LXCError`, as documented by ``createContainer(_:progress:)`` and ``Container/start()``.
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

    /// Starts a transient container, which libvirt forgets when it ends, for controllers that keep the definitions
    /// themselves.
    ///
    /// Its volume is cloned if the store has none of that id. The volume is kept when the container ends: delete it
    /// with the store's `deleteVolume`, or with ``Container/delete()`` while the container is running.
    ///
    /// - Parameters:
    ///   - specification: the container to start.
    ///   - progress: called while the volume is cloned.
    /// - Returns: the running container.
    /// - Throws: `LXCError` `alreadyExists` if there is a guest of that name, `inUse` if another host has the volume,
    ///   `unsafe` if the volume's root was made unsafe to start from, `notFound` if the template or a bridge is
    ///   missing, `invalidArgument`, `unsupported` if the driver cannot run transient guests.
    @discardableResult
    public func startTransientContainer(
        _ specification: ContainerSpecification, progress: ProgressHandler? = nil
    ) async throws -> Container {
        let (name, keeper) = (specification.name, containerKeeper)
        return try await keeper.operation("container.run", on: name) {
            // Checked before anything is created.
            _ = try keeper.driver.transientGuests
            try await keeper.register.requireFree(name, for: .container)
            let store = try storePools.store(specification.pool)
            // Generates the document before creating anything, so that an invalid value has no side effects.
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

    /// The specification with the owners of an existing volume. A volume with the owner ids of the host is run that way
    /// only if the specification or the default privilege asks for it.
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

    /// Deletes the volume created for a container that did not start, unless the container is running after all.
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
