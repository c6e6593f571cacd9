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

/// The containers of one host and its system VMs: hypervisor drivers, primary stores, secondary storage and network
/// drivers working together.
///
/// ```swift
/// let host = try await LXCHypervisor.open(.init(primary: "/srv/primary", secondary: "/srv/secondary"))
/// let template = try await host.installTemplate(TemplateKey(account: 1, id: 10))
/// let container = try await host.createContainer(.init(name: GuestName("web1"), template: template.id))
/// try await container.start()
/// ```
///
/// All state about the containers is stored in libvirt and in the stores, so a restarted program finds them again.
public final class LXCHypervisor: Sendable {
    /// The hypervisor drivers of a host.
    public struct Drivers: Sendable {
        /// Runs the containers.
        public let containers: any HypervisorDriver
        /// Runs the system VMs alongside the containers; `nil` if the host has none.
        public let systemVMs: (any HypervisorDriver)?
    }

    /// The drivers of the containers and the system VMs.
    public let drivers: Drivers
    /// The stores of the unpacked templates and the root volumes; the first is the default.
    public var pools: [any PrimaryStore] { storePools.stores }
    /// The store of the template archives.
    public let templates: any TemplateStore
    /// The drivers that connect the containers to networks.
    public let vifs: VifDrivers
    /// The name this host uses when it takes leases.
    public let hostName: String
    /// How the containers are managed.
    public let policy: Policy
    /// The lease durations.
    public let leases: LeasePolicy

    let logger: Logger
    let storePools: StorePools
    /// The keepers of the guests, one for each driver.
    let containerKeeper: GuestKeeper
    let systemVMKeeper: GuestKeeper?
    private let shutDownHost: @Sendable () async -> Void

    /// Composes drivers and one store, from this package or custom.
    ///
    /// - Parameters:
    ///   - driver: runs the containers.
    ///   - primary: holds the unpacked templates and the root volumes.
    ///   - templates: holds the templates as archives.
    ///   - vifs: connect the containers to networks.
    ///   - hostName: the name this host uses when it takes leases; must differ between hosts that share a store.
    ///   - policy: how the containers are managed.
    ///   - leases: the lease durations.
    ///   - systemVMs: runs the system VMs alongside the containers.
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

    /// Composes drivers and several stores, from this package or custom.
    ///
    /// - Parameters:
    ///   - driver: runs the containers.
    ///   - pools: hold the unpacked templates and the root volumes; the first is the default.
    ///   - templates: holds the templates as archives.
    ///   - vifs: connect the containers to networks.
    ///   - hostName: the name this host uses when it takes leases; must differ between hosts that share a store.
    ///   - policy: how the containers are managed.
    ///   - leases: the lease durations.
    ///   - systemVMs: runs the system VMs alongside the containers.
    ///   - logger: receives a message for each failed operation.
    ///   - onClose: is run by ``close()``.
    /// - Throws: `LXCError` `invalidArgument` if no pool is given or two are the same.
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
        // Both drivers use the same directory because they share names.
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

    /// Opens a host for the duration of `body`. The host is closed when `body` returns, throws or is cancelled.
    ///
    /// - Parameters:
    ///   - configuration: the settings for ``open(_:)``.
    ///   - body: the work to do with the host.
    /// - Returns: the result of `body`.
    /// - Throws: the errors of ``open(_:)`` and those of `body`.
    public static func withHost<Value>(
        _ configuration: Configuration, _ body: (LXCHypervisor) async throws -> Value
    ) async throws -> Value {
        let host = try await open(configuration)
        return try await scoped({ try await body(host) }, finally: { await host.close() })
    }

    /// Closes what ``open(_:)`` opened; ``withHost(_:_:)`` closes it automatically. Containers keep running, unless a
    /// private libvirtd was started for this process only.
    public func close() async { await shutDownHost() }

    // MARK: Storage

    /// The default pool: the first of ``pools``.
    public var primary: any PrimaryStore { storePools.standard }

    /// Returns one of ``pools``.
    ///
    /// - Throws: `LXCError` `notFound` if this host does not have the pool.
    public func pool(_ id: PoolID) throws -> any PrimaryStore { try storePools.store(id) }

    /// Stores a template in secondary storage, verified and ready to be installed.
    ///
    /// - Parameters:
    ///   - registration: the template to store and its identity.
    ///   - progress: called while the template is stored.
    /// - Returns: the template.
    /// - Throws: the errors of `TemplateStore.register(_:progress:)`.
    @discardableResult
    public func registerTemplate(
        _ registration: TemplateRegistration, progress: ProgressHandler? = nil
    ) async throws -> Template {
        try await Operation.run("template.register", "\(registration.key)", logger) {
            try await templates.register(registration, progress: progress)
        }
    }

    /// Unpacks a template from secondary storage to primary storage, once (PrimaryStorageDownload).
    ///
    /// - Parameters:
    ///   - key: the template on secondary storage.
    ///   - id: the template's name on primary storage; `nil` uses the UUID in the name of its archive.
    ///   - pool: the pool to unpack it to; `nil` uses the default pool.
    ///   - progress: called while the template is unpacked.
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
