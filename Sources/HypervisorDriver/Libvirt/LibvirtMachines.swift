// SPDX-License-Identifier: Apache-2.0

public import LXCCore
import Libvirt
public import LibvirtXML
public import Logging

/// Runs virtual machines through libvirt's QEMU driver.
public struct LibvirtMachines: LibvirtDriver {
    /// `libvirt-kvm`.
    public let name = "libvirt-kvm"
    /// The driver's connection.
    public let core: LibvirtCore

    /// Creates a driver that connects on first use.
    ///
    /// - Parameters:
    ///   - uri: a libvirt URI, local or remote (`qemu+ssh://host/system`); nil is the system daemon's.
    ///   - logger: receives a message when the connection opens, is lost and closes.
    public init(uri: String? = nil, logger: Logger = Logger(label: "lxc-hypervisor.libvirt")) {
        core = LibvirtCore(.kvm, uri: uri, logger)
    }

    /// Creates a driver on a private daemon, which is started again where it has died.
    ///
    /// - Parameters:
    ///   - daemon: the daemon.
    ///   - logger: receives a message when the connection opens, is lost and closes.
    public init(daemon: PrivateLibvirtd, logger: Logger = Logger(label: "lxc-hypervisor.libvirt")) {
        core = LibvirtCore(.kvm, daemon: daemon, logger)
    }

    /// `kvm` where the host offers it, `qemu` elsewhere.
    public func domainType() async throws -> DomainType {
        // The capabilities name `kvm` as a domain type of a guest only where /dev/kvm works.
        try await HostCapabilities(xml: connection.capabilitiesXML()).domainTypes.contains(.kvm) ? .kvm : .qemu
    }

    /// Defines the domain; libvirt checks the document against its schema.
    public func define(_ domain: Domain) async throws { try await defineDomain(domain) }

    /// Undefines the domain.
    public func undefine(_ guest: GuestName) async throws { try await connection.undefine(guest.description) }

    /// Creates the defined domain.
    public func start(_ guest: GuestName) async throws { try await connection.start(guest.description) }

    /// Creates the domain without defining it (CloudStack's way); libvirt checks the document against its schema.
    public func startTransient(_ domain: Domain) async throws {
        _ = try await connection.create(xml: domain.xml(), options: .validate)
    }

    /// Presses the power button.
    public func shutdown(_ guest: GuestName) async throws {
        try await connection.shutDown(guest.description, by: .powerButton)
    }

    /// Destroys the domain.
    public func kill(_ guest: GuestName) async throws { try await connection.destroy(guest.description) }
}

extension LibvirtMachines {
    /// Attaches the device to the running domain and to its definition.
    public func attach(_ interface: Interface, to guest: GuestName) async throws {
        try await connect(interface, to: guest) { _, isAttached in
            guard !isAttached else { return }
            try await connection.attachDevice(xml: interface.xml(), to: guest.description, affecting: .live)
        }
    }

    /// Detaches the device from the running domain and from its definition.
    public func detach(_ address: MACAddress, from guest: GuestName) async throws {
        try await disconnect(address, from: guest) { _ in }
    }

    /// Reads the limits.
    public func limits(of guest: GuestName) async throws -> GuestLimits {
        let document = try await definition(of: guest)
        var limits = try await libvirtLimits(of: guest, document)
        limits.cpuSet = try document.virtualCPUs?.cpuSet.map { try CPUSet(parsing: $0) }
        return limits
    }

    /// Changes the limits that are given. All are checked before the first is changed.
    ///
    /// - Throws: `LXCError` `unsupported` for the processors of a running machine, and for how many processes it has.
    public func setLimits(_ change: GuestLimits.Change, of guest: GuestName) async throws {
        let summary = try await setLibvirtLimits(change, of: guest)
        if let set = change.cpuSet {
            guard summary.identity.id == nil else {
                throw LXCError(
                    .unsupported, "the processors the virtual machine \(guest) runs on cannot be changed while it runs")
            }
            try await storeCPUSet(set, of: guest, summary)
        }
        if change.processes != nil {
            throw LXCError(.unsupported, "the virtual machine \(guest) limits its processes itself")
        }
    }
}
