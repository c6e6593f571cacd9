import HypervisorDriver
public import LXCCore
import LibvirtXML
import Logging
public import PrimaryStore
public import TemplateStore
import VifDriver

/// System VMs: virtual machines beside the containers, whose disks are in the same primary store.
extension LXCHypervisor {
    // MARK: Storage

    /// Copies a system template of secondary storage into primary storage, once (PrimaryStorageDownload).
    ///
    /// - Parameters:
    ///   - key: the template on secondary storage, in qcow2 format.
    ///   - id: its name on primary storage; nil takes the UUID its file is named by.
    ///   - progress: called while it is copied.
    /// - Returns: the image on primary storage.
    /// - Throws: `LXCError` `notFound`, `invalidArgument` for a template of containers, `corrupt`, `unsafe` for an image that
    ///   needs other files, `unsupported` for a store that holds no disks, `io`; `CancellationError`.
    public func installSystemTemplate(
        _ key: TemplateKey, as id: TemplateID? = nil, progress: ProgressHandler? = nil
    ) async throws -> StoredImage {
        try await Operation.run("template.install", "\(key)", logger) {
            let template = try await templates.template(key)
            return try await disks.installImage(
                id ?? Self.identifier(of: template), from: templates.image(of: key), progress: progress)
        }
    }

    private var disks: any DiskStore {
        get throws {
            guard let disks = primary as? any DiskStore else {
                throw LXCError(.unsupported, "the primary store \(primary.id) holds no disks of virtual machines")
            }
            return disks
        }
    }

    // MARK: Machines

    /// Makes the disk and makes the machine known to libvirt, stopped. Either all of it is done or nothing.
    ///
    /// - Parameter specification: what the machine is to be.
    /// - Returns: the machine.
    /// - Throws: `LXCError` `alreadyExists`, also when a container has the name; `notFound` without the image or a bridge,
    ///   `invalidArgument`, `unsupported` for a host without system VMs, `unavailable` when their hypervisor does not answer.
    public func createSystemVM(_ specification: SystemVMSpecification) async throws -> SystemVM {
        let machines = try requireMachines()
        let name = specification.name
        return try await machines.operation("vm.create", on: name) {
            // Devices of the host are named by the guest they belong to.
            for host in [self, machines] where try await host.guest(name) != nil {
                throw LXCError(
                    .alreadyExists, "there is a \(host.kind) \(name) already; destroy it or take another name")
            }
            let disks = try disks
            let type: DomainType =
                switch specification.acceleration {
                case nil: try await machines.driver.domainType()
                case .kvm: .kvm
                case .emulation: .qemu
                }
            // The document is made before anything is built, so that a bad value costs nothing.
            let placeholder = DiskOverlay(directory: "/", name: "disk", base: "/base", virtualSize: .mebibytes(1))
            _ = try specification.domain(type: type, disk: placeholder, pool: primary.id).xml()
            let nics = try await machines.addressed(specification.nics.map(\.ofMachine), of: specification.uuid)
            let interfaces = try await machines.connect(nics, of: name)
            do {
                try await machines.build(specification, type, interfaces, in: disks)
            } catch {
                await machines.takeBackNetwork(interfaces, of: name, specification.uuid)
                throw error
            }
            return SystemVM(name: name, host: machines)
        }
    }

    private func build(
        _ specification: SystemVMSpecification, _ type: DomainType, _ interfaces: [Interface], in disks: any DiskStore
    ) async throws {
        let disk = try await disks.createDisk(
            specification.volume, over: specification.template, size: specification.diskSize
        ) { overlay in
            try await driver.createDisk(
                StorageVolume(name: overlay.name, capacity: overlay.virtualSize, backing: overlay.base),
                in: DirectoryStoragePool(uuid: specification.volume.uuid, directory: overlay.directory))
        }
        var lease: VolumeLease?
        do {
            // Until the machine is known, the lease says whose the disk is: see ``leftovers()``.
            lease = try await takeLease(on: specification.volume, of: specification.name)
            // The store looks whether the one that runs the machine can come to it.
            _ = try await disks.hostPath(of: specification.volume)
            try await driver.define(
                specification.domain(type: type, disk: disk, interfaces: interfaces, pool: primary.id))
        } catch {
            await takeBack(specification.name, specification.uuid, specification.volume, lease)
            throw error
        }
        await giveBackUnlessRunning(specification.volume, of: specification.name)
    }

    /// Starts a system VM from nothing (CloudStack's StartCommand): creates it where there is none of the name, starts it
    /// and gives it its boot arguments. libvirt knows it until it is destroyed.
    ///
    /// - Parameter specification: what the machine is to be.
    /// - Returns: the running machine.
    /// - Throws: `LXCError` as ``createSystemVM(_:)`` and ``SystemVM/start(bootArguments:)`` say.
    @discardableResult
    public func startSystemVM(_ specification: SystemVMSpecification) async throws -> SystemVM {
        let machines = try requireMachines()
        let machine =
            if try await machines.guest(specification.name) == nil {
                try await createSystemVM(specification)
            } else {
                SystemVM(name: specification.name, host: machines)
            }
        // A kernel of its own has them on its command line.
        try await machine.start(bootArguments: specification.kernel == nil ? specification.bootArguments : nil)
        return machine
    }

    /// A system VM by its name.
    ///
    /// - Throws: `LXCError` `notFound`, `unsupported` for a host without system VMs.
    public func systemVM(_ name: GuestName) async throws -> SystemVM {
        let machines = try requireMachines()
        _ = try await machines.driver.guest(name)
        return SystemVM(name: name, host: machines)
    }

    /// All system VMs libvirt knows, ordered by name; none for a host without.
    ///
    /// - Throws: `LXCError` `unavailable`.
    public func systemVMs() async throws -> [SystemVM] {
        guard let machines else { return [] }
        return try await machines.driver.guests().map { SystemVM(name: $0.name, host: machines) }
    }

    private func requireMachines() throws -> LXCHypervisor {
        guard let machines else {
            throw LXCError(.unsupported, "this host was put together without a driver for system VMs")
        }
        return machines
    }
}
