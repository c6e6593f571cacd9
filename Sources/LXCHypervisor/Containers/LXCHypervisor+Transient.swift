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
            if try await guest(specification.name) == nil {
                try await createContainer(specification, progress: progress)
            } else {
                Container(name: specification.name, host: self)
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
        let name = specification.name
        return try await operation("container.run", on: name) {
            guard driver.capabilities.contains(.transient) else {
                throw LXCError(.unsupported, "the driver \(driver.name) cannot start guests it forgets at their end")
            }
            guard try await guest(name) == nil else {
                throw LXCError(.alreadyExists, "there is a container \(name) already; destroy it or take another name")
            }
            // The document is made before anything is built, so that a bad value costs nothing.
            _ = try specification.domain(root: "/", pool: primary.id).xml()
            let stored = try await primary.volume(specification.volume)
            if let stored {
                try await withIDMap(of: using(stored, specification)) { try await runTransient($0) }
            } else {
                try await withIDMap(of: specification) { specification in
                    _ = try await primary.createVolume(
                        specification.volume, from: specification.template, idMap: specification.idMap,
                        progress: progress)
                    do {
                        try await identify(specification)
                        try await runTransient(specification)
                    } catch {
                        await discard(specification.volume, of: name)
                        throw error
                    }
                }
            }
            return Container(name: name, host: self)
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

    private func runTransient(_ specification: ContainerSpecification) async throws {
        let name = specification.name
        try await takeLease(on: specification.volume, of: name)
        do {
            let interfaces = try await connect(addressed(specification.nics, of: specification.uuid), of: name)
            do {
                let root = try await primary.hostPath(of: specification.volume)
                var domain = try specification.domain(root: root, interfaces: interfaces, pool: primary.id)
                if var metadata = try domain.containerMetadata() {
                    metadata.initSignal = try await initSignal(of: domain, specification.volume)
                    try domain.setContainerMetadata(metadata)
                }
                try await driver.create(domain)
            } catch {
                await takeBackNetwork(interfaces, of: name, specification.uuid)
                throw error
            }
        } catch {
            await giveBack(specification.volume, [], unlessRunning: name)
            throw error
        }
    }

    /// Deletes the volume made for a container that did not start, unless that runs after all.
    private func discard(_ volume: VolumeID, of name: GuestName) async {
        await Task {
            do {
                _ = try await driver.guest(name)
                return
            } catch let error as LXCError where error.code == .notFound {
                do {
                    try await giveBackLease(on: volume, of: name)
                    try await primary.deleteVolume(volume)
                } catch {
                    logger.warning(
                        "cannot delete the volume of a container that did not start",
                        metadata: ["container": "\(name)", "volume": "\(volume)", "error": "\(error)"])
                }
            } catch {
                logger.warning(
                    "cannot tell whether a container runs; its volume stays",
                    metadata: ["container": "\(name)", "volume": "\(volume)", "error": "\(error)"])
            }
        }.value
    }
}
