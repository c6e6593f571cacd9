// SPDX-License-Identifier: Apache-2.0

import HypervisorDriver
public import LXCCore
import LibvirtXML
import Logging
public import PrimaryStore
public import TemplateStore
import VifDriver

/// System VMs: virtual machines running alongside the containers, with their disks in the same primary store.
extension LXCHypervisor {
    // MARK: Storage

    /// Copies a system template from secondary storage to primary storage, once (PrimaryStorageDownload).
    ///
    /// - Parameters:
    ///   - key: the template on secondary storage, in qcow2 format.
    ///   - id: its id on primary storage; `nil` uses the UUID in its file name.
    ///   - pool: the pool to copy it to; `nil` uses the default pool.
    ///   - progress: called during the copy.
    /// - Returns: the image on primary storage.
    /// - Throws: `LXCError` `notFound`, `invalidArgument` for a container template, `corrupt`, `unsafe` for an image
    ///   that depends on other files, `unsupported` for a store that holds no disks, `io`; `CancellationError`.
    public func installSystemTemplate(
        _ key: TemplateKey, as id: TemplateID? = nil, in pool: PoolID? = nil, progress: ProgressHandler? = nil
    ) async throws -> StoredImage {
        try await Operation.run("template.install", "\(key)", logger) {
            guard let images = templates as? any DiskImageStore else {
                throw LXCError(.unsupported, "the store of template \(key) keeps no disk images")
            }
            let disks = try disks(in: pool)
            let template = try await images.template(key)
            return try await disks.installImage(
                id ?? Self.identifier(of: template), from: images.image(of: key), progress: progress)
        }
    }

    private func disks(in pool: PoolID?) throws -> any DiskStore {
        let store = try storePools.store(pool)
        guard let disks = store as? any DiskStore else {
            throw LXCError(.unsupported, "the primary store \(store.id) holds no disks of virtual machines")
        }
        return disks
    }

    // MARK: Machines

    /// Creates the machine's disk and defines the machine in libvirt, stopped. All or nothing.
    ///
    /// - Parameter specification: the machine to create.
    /// - Returns: the machine.
    /// - Throws: `LXCError` `alreadyExists` for a name or hardware address in use by a guest of this host, containers
    ///   included; `notFound` if the pool, its image or a bridge does not exist; `invalidArgument`; `unsupported` for a
    ///   host without system VMs; `unavailable` if their hypervisor does not answer.
    public func createSystemVM(_ specification: SystemVMSpecification) async throws -> SystemVM {
        let keeper = try requireKeeper()
        let name = specification.name
        return try await keeper.operation("vm.create", on: name) {
            try await keeper.register.requireFree(name, for: .systemVM)
            let disks = try disks(in: specification.pool)
            let type: DomainType =
                switch specification.acceleration {
                case nil: try await keeper.driver.domainType()
                case .kvm: .kvm
                case .emulation: .qemu
                }
            // The document is created before anything is built, so that an invalid value has no cost.
            let placeholder = DiskOverlay(directory: "/", name: "disk", base: "/base", virtualSize: .mebibytes(1))
            _ = try specification.domain(type: type, disk: placeholder, pool: disks.id).xml()
            let nics = specification.nics.map(\.ofMachine)
            try await keeper.withNetwork(nics, of: name, specification.uuid) { interfaces in
                try await build(specification, type, interfaces, in: disks, keeper)
            }
            return SystemVM(name: name, keeper: keeper)
        }
    }

    private func build(
        _ specification: SystemVMSpecification, _ type: DomainType, _ interfaces: [Interface], in disks: any DiskStore,
        _ keeper: GuestKeeper
    ) async throws {
        let disk = try await makeDisk(of: specification, in: disks, keeper)
        let volume = GuestVolume(id: specification.volume, store: disks)
        var lease: VolumeLease?
        do {
            // Until the machine is defined, the lease says whose the disk is: see ``leftovers(in:)``.
            lease = try await keeper.takeLease(on: volume, of: specification.name)
            // The store checks whether the user that runs the machine can access it.
            _ = try await disks.hostPath(of: volume.id)
            try await keeper.driver.define(
                specification.domain(type: type, disk: disk, interfaces: interfaces, pool: disks.id))
        } catch {
            await keeper.takeBack(specification.name, specification.uuid, volume, lease)
            throw error
        }
        await keeper.giveBackUnlessRunning(volume, of: specification.name)
    }

    private func makeDisk(
        of specification: SystemVMSpecification, in disks: any DiskStore, _ keeper: GuestKeeper
    ) async throws -> DiskOverlay {
        do {
            return try await disks.createDisk(
                specification.volume, over: specification.template, size: specification.diskSize
            ) { overlay in
                try await keeper.driver.diskMaking.createDisk(
                    StorageVolume(name: overlay.name, capacity: overlay.virtualSize, backing: overlay.base),
                    in: DirectoryStoragePool(uuid: specification.volume.uuid, directory: overlay.directory))
            }
        } catch let error as LXCError where error.code == .notFound {
            throw await storePools.explained(error, specification.template, in: disks)
        }
    }

    /// Starts a system VM from scratch (CloudStack's StartCommand): creates it if none of the name exists, starts it
    /// and passes it its boot arguments. It stays defined in libvirt until it is destroyed.
    ///
    /// - Parameter specification: the machine to start.
    /// - Returns: the running machine.
    /// - Throws: `LXCError` as described at ``createSystemVM(_:)`` and ``SystemVM/start(bootArguments:)``.
    @discardableResult
    public func startSystemVM(_ specification: SystemVMSpecification) async throws -> SystemVM {
        let keeper = try requireKeeper()
        let machine =
            if try await keeper.guest(specification.name) == nil {
                try await createSystemVM(specification)
            } else {
                SystemVM(name: specification.name, keeper: keeper)
            }
        // With a kernel of its own, the machine has them on the kernel's command line.
        try await machine.start(bootArguments: specification.kernel == nil ? specification.bootArguments : nil)
        return machine
    }

    /// Looks up a system VM by name.
    ///
    /// - Throws: `LXCError` `notFound`, `unsupported` for a host without system VMs.
    public func systemVM(_ name: GuestName) async throws -> SystemVM {
        let keeper = try requireKeeper()
        _ = try await keeper.driver.guest(name)
        return SystemVM(name: name, keeper: keeper)
    }

    /// All system VMs defined in libvirt, ordered by name; empty for a host without system VMs.
    ///
    /// - Throws: `LXCError` `unavailable`.
    public func systemVMs() async throws -> [SystemVM] {
        guard let keeper = systemVMKeeper else { return [] }
        return try await keeper.driver.guests().map { SystemVM(name: $0.name, keeper: keeper) }
    }

    private func requireKeeper() throws -> GuestKeeper {
        guard let systemVMKeeper else {
            throw LXCError(.unsupported, "this host was put together without a driver for system VMs")
        }
        return systemVMKeeper
    }
}
