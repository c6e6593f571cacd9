// SPDX-License-Identifier: Apache-2.0

public import LXCCore
public import LibvirtXML
public import PrimaryStore

extension LXCHypervisor.SystemVMSpecification {
    /// The longest command line x86 kernels accept, including the terminating NUL (COMMAND_LINE_SIZE).
    private static let longestCommandLine = 2048

    /// The domain document of the machine.
    ///
    /// - Parameters:
    ///   - type: `kvm` or `qemu`.
    ///   - disk: its disk and backing image. Both are recorded with their formats, so that libvirt does not probe the
    ///     format of data a guest may have written.
    ///   - interfaces: the interfaces that network drivers created for its NICs.
    ///   - pool: the primary store, kept in the document's metadata; `nil` stores none.
    /// - Returns: the document.
    /// - Throws: `LXCError` `invalidArgument` naming the invalid value.
    public func domain(
        type: DomainType, disk: DiskOverlay, interfaces: [Interface] = [], pool: PoolID? = nil
    ) throws -> Domain {
        try check()
        var domain = Domain(type: type, name: name.description, os: try operatingSystem())
        domain.uuid = uuid
        domain.title = title
        domain.memory = memory
        domain.currentMemory = memory
        domain.virtualCPUs = VirtualCPUs(count: cpus)
        // Without ACPI, the machine would not notice its power button.
        domain.features = Features(acpi: true, apic: true, pae: true)
        domain.clock = .utc
        domain.onPowerOff = .destroy
        domain.onReboot = .restart
        domain.onCrash = .destroy
        domain.disks = [try rootDisk(disk)]
        domain.interfaces = interfaces
        domain.serials = [CharacterDevice(port: 0)]
        domain.consoles = [CharacterDevice(targetType: "serial", port: 0)]
        domain.channels = [Channel(.unix(path: nil, mode: .bind), name: "org.qemu.guest_agent.0")]
        domain.memoryBalloon = MemoryBalloonModel.none
        try domain.setContainerMetadata(pool.map(metadata))
        return domain
    }

    private func rootDisk(_ overlay: DiskOverlay) throws -> Disk {
        var disk = Disk(.file(overlay.path), target: "vda", bus: "virtio")
        disk.driverName = "qemu"
        disk.format = "qcow2"
        try disk.setBase(overlay.base)
        return disk
    }

    private func operatingSystem() throws -> OperatingSystem {
        var os = OperatingSystem.machine()
        guard let kernel else { return os }
        os.kernel = kernel.path
        os.initialRAMDisk = kernel.initialRAMDisk
        let line = [kernel.arguments, bootArguments ?? ""].filter { !$0.isEmpty }.joined(separator: " ")
        guard line.utf8.count < Self.longestCommandLine else {
            throw LXCError(
                .invalidArgument,
                "the kernel of \(name) cannot have \(line.utf8.count) bytes of arguments; \(Self.longestCommandLine - 1) "
                    + "are the most")
        }
        os.kernelCommandLine = line.isEmpty ? nil : line
        return os
    }

    private func metadata(in pool: PoolID) -> ContainerMetadata {
        ContainerMetadata(
            pool: pool, volume: volume, template: template, owner: owner,
            networks: nics.sorted { $0.deviceID < $1.deviceID }.map(\.network))
    }

    private func check() throws {
        guard memory >= .mebibytes(1) else {
            throw LXCError(.invalidArgument, "\(name) needs at least 1 MiB of memory")
        }
        guard (1...255).contains(cpus) else { throw LXCError(.invalidArgument, "\(name) needs 1 to 255 processors") }
        let ids = nics.map(\.deviceID)
        guard Set(ids).count == ids.count else {
            throw LXCError(.invalidArgument, "two network interfaces of \(name) have the same device id")
        }
        if let bootArguments { try Self.check(bootArguments, "the boot arguments of \(name)") }
        if let kernel { try Self.check(kernel.arguments, "the kernel arguments of \(name)") }
    }

    /// Rejects text of more than one line.
    static func check(_ arguments: String, _ what: String) throws {
        // The value is not shown: it may contain passwords.
        guard !arguments.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) else {
            throw LXCError(.invalidArgument, "\(what) have a control character in them; they must be one line")
        }
    }
}
