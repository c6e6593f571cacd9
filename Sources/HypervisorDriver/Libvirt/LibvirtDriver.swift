import Foundation
public import LXCCore
import Libvirt
public import LibvirtXML
public import Logging

/// Runs guests through libvirt: containers by its LXC driver, system VMs by its QEMU driver.
///
/// The connection opens with the first call and again after the daemon was restarted.
public struct LibvirtDriver: HypervisorDriver {
    /// Which of libvirt's drivers is used.
    public enum Kind: String, Hashable, Sendable, CaseIterable {
        /// Containers.
        case lxc
        /// Virtual machines.
        case kvm

        /// The system daemon's URI: CloudStack's defaults.
        public var systemURI: String {
            switch self {
            case .lxc: "lxc:///"
            case .kvm: "qemu:///system"
            }
        }
    }

    /// Which of libvirt's drivers is used.
    public let kind: Kind
    let connection: LibvirtConnection
    let logger: Logger

    /// Makes a driver that connects on first use.
    ///
    /// - Parameters:
    ///   - kind: containers or virtual machines.
    ///   - uri: a libvirt URI, local or remote (`lxc+ssh://host/`); nil is the system daemon's.
    ///   - logger: hears of the connection's opening, loss and closing.
    public init(
        kind: Kind, uri: String? = nil, logger: Logger = Logger(label: "lxc-hypervisor.libvirt")
    ) {
        self.kind = kind
        self.logger = logger
        connection = LibvirtConnection(uri: uri ?? kind.systemURI, logger: logger)
    }

    /// Makes a driver on a private daemon, which is started again where it has died.
    ///
    /// - Parameters:
    ///   - kind: containers or virtual machines.
    ///   - daemon: the daemon.
    ///   - logger: hears of the connection's opening, loss and closing.
    public init(
        kind: Kind, daemon: PrivateLibvirtd, logger: Logger = Logger(label: "lxc-hypervisor.libvirt")
    ) {
        self.kind = kind
        self.logger = logger
        connection = LibvirtConnection(
            uri: daemon.uri(for: kind), startDaemon: { try await daemon.startAgain() }, logger: logger)
    }

    /// Whether the guests are processes of this host, in whose namespaces and control groups this program can work. The id
    /// of such a guest is the process that keeps it; that of a guest of libvirt's test driver is a mere number.
    var hasProcessesHere: Bool { kind == .lxc && connection.driverName == "lxc" && connection.isLocal }

    /// Connects now, not with the first call.
    ///
    /// - Throws: `LXCError` `unavailable` naming the URI, `permissionDenied`.
    public func open() async throws { try await connection.open() }

    /// The version of libvirt on the other side, such as `9.0.0`.
    ///
    /// - Throws: `LXCError` `unavailable`.
    public func version() async throws -> String { try await connection.libraryVersion().description }

    /// Closes the connection for good; guests go on.
    public func close() async { await connection.close() }

    /// `libvirt-lxc` or `libvirt-kvm`.
    public var name: String { "libvirt-\(kind.rawValue)" }

    /// What libvirt 9 offers for the kind.
    public var capabilities: HypervisorCapabilities {
        switch kind {
        case .lxc:
            [
                .suspend, .console, .shutdown, .idMap, .execution, .interfaces, .networkFilters, .signal, .limits,
                .transient, .autostart,
            ]
        case .kvm:
            [
                .suspend, .console, .shutdown, .interfaces, .networkFilters, .limits, .transient, .autostart, .disks,
                .agent,
            ]
        }
    }

    /// `lxc`; for virtual machines `kvm` where the host offers it, `qemu` elsewhere.
    public func domainType() async throws -> DomainType {
        switch kind {
        case .lxc: .lxc
        case .kvm:
            // The capabilities name `kvm` as a domain type of a guest only where /dev/kvm works.
            try await connection.capabilitiesXML().contains("<domain type='kvm'") ? .kvm : .qemu
        }
    }

    // MARK: Lifecycle

    /// Defines the domain; libvirt checks the document against its schema.
    public func define(_ domain: Domain) async throws {
        do {
            _ = try await connection.define(xml: shown(domain).xml(), validating: true)
        } catch {
            await tidy(after: domain)
            guard (error as? LXCError)?.code == .hypervisor else { throw error }
            // libvirt has no error number of its own for this, so the guests are asked.
            let other = try await guests().first { ($0.name.description == domain.name) != ($0.uuid == domain.uuid) }
            guard let other else { throw error }
            throw LXCError(
                .alreadyExists,
                "cannot define \(domain.name.escapedForDisplay): there is the guest \(other.name) with the UUID "
                    + "\(other.uuid.uuidString.lowercased()); give both its name and its UUID, or neither",
                cause: error)
        }
    }

    /// Undefines the domain.
    public func undefine(_ guest: GuestName) async throws {
        let known = hasProcessesHere ? try await self.guest(guest) : nil
        try await connection.undefine(guest.description)
        if let known, !known.state.isActive { try await removeControlGroups(of: known) }
    }

    /// The document as libvirt gets it.
    func shown(_ domain: Domain) async throws -> Domain {
        guard hasProcessesHere else { return domain }
        return try await BlockingPool.shared.run { _ in try InitLauncher.added(to: domain, .current()) }
    }

    /// Brings a document up to date that was written by an earlier version, or when the host had other control groups.
    private func refreshLauncher(of guest: GuestName) async throws {
        let stored = try await Domain(xml: connection.xml(of: guest.description, options: .inactive))
        let wanted = try await shown(stored)
        if wanted != stored { _ = try await connection.define(xml: wanted.xml(), validating: true) }
    }

    /// Creates the defined domain.
    func startDomain(_ guest: GuestName) async throws {
        if hasProcessesHere { try await refreshLauncher(of: guest) }
        let uuid = hasProcessesHere ? try await self.guest(guest).uuid : nil
        try await confined(guest, uuid) { try await connection.start(guest.description) }
    }

    /// Signals the container's init, or presses the virtual machine's power button. `/dev/initctl` inside the
    /// container is never used: a container could make it a link (CVE-2013-6456).
    public func shutdown(_ guest: GuestName) async throws {
        guard kind == .lxc else { return try await connection.shutDown(guest.description, by: .powerButton) }
        try await send(.terminate, to: guest)
    }

    /// Freezes the domain.
    public func suspend(_ guest: GuestName) async throws {
        try await connection.suspend(guest.description)
    }

    /// Thaws the domain.
    public func resume(_ guest: GuestName) async throws {
        try await connection.resume(guest.description)
    }

    // MARK: Reading

    /// Lists active and inactive domains.
    public func guests() async throws -> [Guest] {
        try await connection.domains().compactMap(Guest.init).sorted { $0.name < $1.name }
    }

    /// Looks the domain up.
    public func guest(_ name: GuestName) async throws -> Guest {
        let summary = try await connection.summary(of: name.description)
        guard let guest = Guest(summary) else {
            throw LXCError(.hypervisor, "libvirt answers for \(name) with another domain's name")
        }
        return guest
    }

    /// Reads the domain's document.
    public func definition(of guest: GuestName) async throws -> Domain {
        try await InitLauncher.removed(from: Domain(xml: connection.xml(of: guest.description)))
    }

    /// Opens the domain's first console.
    public func openConsole(of guest: GuestName) async throws -> any GuestConsole {
        try await LibvirtConsole(stream: connection.openConsole(of: guest.description))
    }
}
