// SPDX-License-Identifier: Apache-2.0

import FileTree
import FoundationEssentials
public import HypervisorDriver
public import LXCCore
import LibvirtXML
public import Logging
public import PrimaryStore
public import TemplateStore
import VifDriver

/// One host's containers, and the system VMs beside them: hypervisor drivers, primary stores, secondary storage and
/// network drivers working together.
///
/// ```swift
/// let host = try await LXCHypervisor.open(.init(primary: "/srv/primary", secondary: "/srv/secondary"))
/// let template = try await host.installTemplate(TemplateKey(account: 1, id: 10))
/// let container = try await host.createContainer(.init(name: GuestName("web1"), template: template.id))
/// try await container.start()
/// ```
///
/// What it knows of its containers it keeps in libvirt and in the stores; a program that was restarted finds them again.
public final class LXCHypervisor: Sendable {
    /// The hypervisor drivers of a host.
    public struct Drivers: Sendable {
        /// Runs the containers.
        public let containers: any HypervisorDriver
        /// Runs the system VMs beside them; nil where the host has none.
        public let systemVMs: (any HypervisorDriver)?
    }

    /// Run the containers and the system VMs.
    public let drivers: Drivers
    /// Hold the unpacked templates and the root volumes; the first is the default.
    public var pools: [any PrimaryStore] { storePools.stores }
    /// Holds the templates as archives.
    public let templates: any TemplateStore
    /// Connects the containers.
    public let vifs: VifDrivers
    /// The name this host uses when it takes leases.
    public let hostName: String
    /// How the containers are kept.
    public let policy: Policy
    /// How leases last.
    public let leases: LeasePolicy

    let logger: Logger
    let storePools: StorePools
    /// Look after the guests, each of those of one driver.
    let containerKeeper: GuestKeeper
    let systemVMKeeper: GuestKeeper?
    private let shutDownHost: @Sendable () async -> Void

    /// Composes drivers and one store, this package's or your own.
    ///
    /// - Parameters:
    ///   - driver: runs the containers.
    ///   - primary: holds the unpacked templates and the root volumes.
    ///   - templates: holds the templates as archives.
    ///   - vifs: connect the containers.
    ///   - hostName: the name this host uses when it takes leases; must differ between hosts that share a store.
    ///   - policy: how the containers are kept.
    ///   - leases: how leases last.
    ///   - systemVMs: runs the system VMs beside the containers.
    ///   - logger: receives a message for each failed operation.
    ///   - onClose: is run by ``close()``.
    public convenience init(
        driver: any HypervisorDriver, primary: any PrimaryStore, templates: any TemplateStore,
        vifs: VifDrivers = VifDrivers(), hostName: String, policy: Policy = Policy(),
        leases: LeasePolicy = LeasePolicy(), systemVMs: (any HypervisorDriver)? = nil,
        logger: Logger = Logger(label: "lxc-hypervisor"), onClose: @escaping @Sendable () async -> Void = {}
    ) {
        self.init(
            Drivers(containers: driver, systemVMs: systemVMs), StorePools(primary), templates, vifs, hostName, policy,
            leases, logger, onClose)
    }

    /// Composes drivers and several stores, this package's or your own.
    ///
    /// - Parameters:
    ///   - driver: runs the containers.
    ///   - pools: hold the unpacked templates and the root volumes; the first is the default.
    ///   - templates: holds the templates as archives.
    ///   - vifs: connect the containers.
    ///   - hostName: the name this host uses when it takes leases; must differ between hosts that share a store.
    ///   - policy: how the containers are kept.
    ///   - leases: how leases last.
    ///   - systemVMs: runs the system VMs beside the containers.
    ///   - logger: receives a message for each failed operation.
    ///   - onClose: is run by ``close()``.
    /// - Throws: `LXCError` `invalidArgument` without a pool, and for two that are the same.
    public convenience init(
        driver: any HypervisorDriver, pools: [any PrimaryStore], templates: any TemplateStore,
        vifs: VifDrivers = VifDrivers(), hostName: String, policy: Policy = Policy(),
        leases: LeasePolicy = LeasePolicy(), systemVMs: (any HypervisorDriver)? = nil,
        logger: Logger = Logger(label: "lxc-hypervisor"), onClose: @escaping @Sendable () async -> Void = {}
    ) throws {
        self.init(
            Drivers(containers: driver, systemVMs: systemVMs), try StorePools(pools), templates, vifs, hostName, policy,
            leases, logger, onClose)
    }

    init(
        _ drivers: Drivers, _ pools: StorePools, _ templates: any TemplateStore, _ vifs: VifDrivers,
        _ hostName: String, _ policy: Policy, _ leases: LeasePolicy, _ logger: Logger,
        _ onClose: @escaping @Sendable () async -> Void
    ) {
        var hypervisors: [(kind: GuestKind, driver: any HypervisorDriver)] = [(.container, drivers.containers)]
        if let driver = drivers.systemVMs { hypervisors.append((.systemVM, driver)) }
        // One directory for both: they share names.
        let directory = hypervisors.contains { $0.driver.sharesGuests } ? policy.lockDirectory : nil
        let locks = GuestLocks(directory: directory)
        let register = GuestRegister(
            hypervisors: hypervisors, addresses: AddressReservations(directory: directory), logger: logger)
        let ids = HostIDs(driver: drivers.containers, pools: pools, policy: policy, logger: logger)
        let keepers = hypervisors.map { kind, driver in
            GuestKeeper(
                of: kind, driver, pools: pools, vifs: vifs, hostName: hostName, policy: policy, leases: leases,
                register: register, locks: locks, ids: ids, logger: logger)
        }
        containerKeeper = keepers[0]
        systemVMKeeper = keepers.count > 1 ? keepers[1] : nil
        self.drivers = drivers
        storePools = pools
        self.templates = templates
        self.vifs = vifs
        self.hostName = hostName
        self.leases = leases
        self.policy = policy
        self.logger = logger
        shutDownHost = onClose
    }

    /// Opens a host for the time of `body`. It is closed when `body` returns, throws or is cancelled.
    ///
    /// - Parameters:
    ///   - configuration: what ``open(_:)`` puts together.
    ///   - body: what works with the host.
    /// - Returns: what `body` returns.
    /// - Throws: as ``open(_:)``, and what `body` throws.
    public static func withHost<Value>(
        _ configuration: Configuration, _ body: (LXCHypervisor) async throws -> Value
    ) async throws -> Value {
        let host = try await open(configuration)
        return try await scoped({ try await body(host) }, finally: { await host.close() })
    }

    /// Closes what ``open(_:)`` opened; ``withHost(_:_:)`` closes by itself. Containers go on, except where a private libvirtd was started for this process
    /// alone.
    public func close() async { await shutDownHost() }

    // MARK: Storage

    /// The default pool: the first of ``pools``.
    public var primary: any PrimaryStore { storePools.standard }

    /// One of ``pools``.
    ///
    /// - Throws: `LXCError` `notFound` for a pool this host does not have.
    public func pool(_ id: PoolID) throws -> any PrimaryStore { try storePools.store(id) }

    /// Stores a template in secondary storage, checked and ready to be installed.
    ///
    /// - Parameters:
    ///   - registration: what to store, and as what.
    ///   - progress: called while it is stored.
    /// - Returns: the template.
    /// - Throws: as `TemplateStore.register(_:progress:)`.
    @discardableResult
    public func registerTemplate(
        _ registration: TemplateRegistration, progress: ProgressHandler? = nil
    ) async throws -> Template {
        try await Operation.run("template.register", "\(registration.key)", logger) {
            try await templates.register(registration, progress: progress)
        }
    }

    /// Unpacks a template of secondary storage on primary storage, once (PrimaryStorageDownload).
    ///
    /// - Parameters:
    ///   - key: the template on secondary storage.
    ///   - id: its name on primary storage; nil takes the UUID its archive is named by.
    ///   - pool: where it is unpacked; nil takes the default pool.
    ///   - progress: called while it is unpacked.
    /// - Returns: the template on primary storage.
    /// - Throws: `LXCError` `notFound`, `corrupt`, `unsafe`, `io`; `CancellationError`.
    public func installTemplate(
        _ key: TemplateKey, as id: TemplateID? = nil, in pool: PoolID? = nil, progress: ProgressHandler? = nil
    ) async throws -> StoredTemplate {
        try await Operation.run("template.install", "\(key)", logger) {
            let store = try storePools.store(pool)
            let template = try await templates.template(key)
            return try await store.installTemplate(
                id ?? Self.identifier(of: template), from: templates.contents(of: key), expecting: template.digest,
                limits: TreeLimits(), progress: progress)
        }
    }

    static func identifier(of template: Template) throws -> TemplateID {
        let stem = template.fileName.split(separator: ".").first.map(String.init) ?? ""
        guard let id = try? TemplateID(parsing: stem) else {
            throw LXCError(
                .invalidArgument,
                "the archive \(template.fileName.escapedForDisplay) of template \(template.key) is not named by a UUID; "
                    + "say which UUID the template gets on primary storage")
        }
        return id
    }
}
