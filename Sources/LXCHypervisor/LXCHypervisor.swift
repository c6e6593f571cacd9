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
    /// Holds the unpacked templates and the root volumes.
    public let primary: any PrimaryStore
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

    /// Runs the guests this object looks after.
    var driver: any HypervisorDriver { drivers.containers }
    let logger: Logger
    /// What the guests of ``driver`` are called.
    let kind: GuestKind
    /// The same host with system VMs in the place of containers; nil where it has none.
    let machines: LXCHypervisor?
    let locks: GuestLocks
    private let shutDownHost: @Sendable () async -> Void

    /// Composes drivers and stores, this package's or your own.
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
            of: .container, driver, primary, templates, vifs, hostName, policy, leases, systemVMs, logger, onClose)
    }

    private init(
        of kind: GuestKind, _ driver: any HypervisorDriver, _ primary: any PrimaryStore,
        _ templates: any TemplateStore, _ vifs: VifDrivers, _ hostName: String, _ policy: Policy,
        _ leases: LeasePolicy, _ systemVMs: (any HypervisorDriver)?, _ logger: Logger,
        _ onClose: @escaping @Sendable () async -> Void
    ) {
        self.kind = kind
        machines = systemVMs.map {
            LXCHypervisor(of: .systemVM, $0, primary, templates, vifs, hostName, policy, leases, nil, logger, {})
        }
        drivers = Drivers(containers: driver, systemVMs: systemVMs)
        self.primary = primary
        self.templates = templates
        self.vifs = vifs
        self.hostName = hostName
        self.leases = leases
        self.policy = policy
        self.logger = logger
        locks = GuestLocks(directory: driver.sharesGuests ? policy.lockDirectory : nil)
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
    ///   - progress: called while it is unpacked.
    /// - Returns: the template on primary storage.
    /// - Throws: `LXCError` `notFound`, `corrupt`, `unsafe`, `io`; `CancellationError`.
    public func installTemplate(
        _ key: TemplateKey, as id: TemplateID? = nil, progress: ProgressHandler? = nil
    ) async throws -> StoredTemplate {
        try await Operation.run("template.install", "\(key)", logger) {
            let template = try await templates.template(key)
            return try await primary.installTemplate(
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

    // MARK: Containers

    /// Clones the root volume and makes the container known to libvirt, stopped. Either all of it is done or nothing.
    ///
    /// - Parameters:
    ///   - specification: what the container is to be.
    ///   - progress: called while the volume is cloned.
    /// - Returns: the container.
    /// - Throws: `LXCError` `alreadyExists`, `notFound` without the template or a bridge, `invalidArgument`.
    public func createContainer(
        _ specification: ContainerSpecification, progress: ProgressHandler? = nil
    ) async throws -> Container {
        let name = specification.name
        return try await operation("container.create", on: name) {
            guard try await guest(name) == nil else {
                throw LXCError(.alreadyExists, "there is a container \(name) already; destroy it or take another name")
            }
            // The document is made before anything is built, so that a bad value costs nothing.
            _ = try specification.domain(root: "/", pool: primary.id).xml()
            let nics = try await addressed(specification.nics, of: specification.uuid)
            let interfaces = try await connect(nics, of: name)
            do {
                try await withIDMap(of: specification) {
                    try await build($0, interfaces: interfaces, progress: progress)
                }
            } catch {
                await takeBackNetwork(interfaces, of: name, specification.uuid)
                throw error
            }
            return Container(name: name, host: self)
        }
    }

    /// Takes back the network of a guest that was not made, unless another program's guest has the name by then: it has
    /// filters and devices of the same names. In a task of its own, because it must complete in a cancelled one too.
    func takeBackNetwork(_ interfaces: [Interface], of name: GuestName, _ uuid: UUID) async {
        await Task {
            if let guest = try? await driver.guest(name), guest.uuid != uuid { return }
            await takeBack(interfaces, of: name)
        }.value
    }

    /// Gives a new volume the identity of its container.
    func identify(_ specification: ContainerSpecification) async throws {
        guard let identity = specification.identity else { return }
        let root = try await primary.root(of: specification.volume)
        try await BlockingPool.shared.run { _ in
            try IdentityWriter(identity: identity, specification: specification, root: root).write()
        }
    }

    private func build(
        _ specification: ContainerSpecification, interfaces: [Interface], progress: ProgressHandler?
    ) async throws {
        _ = try await primary.createVolume(
            specification.volume, from: specification.template, idMap: specification.idMap, progress: progress)
        var lease: VolumeLease?
        do {
            // Until the container is known, the lease says whose the volume is: see ``leftovers()``.
            lease = try await takeLease(on: specification.volume, of: specification.name)
            try await identify(specification)
            let root = try await primary.hostPath(of: specification.volume)
            try await driver.define(specification.domain(root: root, interfaces: interfaces, pool: primary.id))
            if specification.isAutostarted { try await driver.autostart.setAutostart(true, of: specification.name) }
        } catch {
            await takeBack(specification.name, specification.uuid, specification.volume, lease)
            throw error
        }
        await giveBackUnlessRunning(specification.volume, of: specification.name)
    }

    /// Takes back a volume whose guest could not be defined, and the definition where libvirt has stored it and
    /// only its answer was lost. In a task of its own, because it must complete in a cancelled one too.
    func takeBack(_ name: GuestName, _ uuid: UUID, _ volume: VolumeID, _ lease: VolumeLease?) async {
        await Task {
            do {
                let guest = try? await driver.guest(name)
                // Another program's guest of that name has another UUID.
                if guest?.uuid == uuid { try await driver.undefine(name) }
                if let lease { try await primary.releaseLease(lease) }
                try await primary.deleteVolume(volume)
            } catch {
                logger.warning(
                    "cannot take back a \(kind) that was not created",
                    metadata: ["container": "\(name)", "volume": "\(volume)", "error": "\(error)"])
            }
        }.value
    }

    /// A container by its name.
    ///
    /// - Throws: `LXCError` `notFound`.
    public func container(_ name: GuestName) async throws -> Container {
        _ = try await driver.guest(name)
        return Container(name: name, host: self)
    }

    /// All containers libvirt knows, ordered by name.
    ///
    /// - Throws: `LXCError` `unavailable`.
    public func containers() async throws -> [Container] {
        try await driver.guests().map { Container(name: $0.name, host: self) }
    }

    /// The guest of that name, or nil.
    func guest(_ name: GuestName) async throws -> Guest? {
        do {
            return try await driver.guest(name)
        } catch let error as LXCError where error.code == .notFound {
            return nil
        }
    }

    /// Runs an operation on a container: observed from outside, and alone on that container among all programs of the host.
    /// It waits for others as long as the policy says, or for `limit`.
    func operation<Value>(
        _ operation: String, on name: GuestName, waiting limit: Duration? = nil, _ body: () async throws -> Value
    ) async throws -> Value {
        let operation = kind.operation(operation)
        return try await Operation.run(operation, name.description, logger) {
            try await locks.hold(name, for: operation, within: limit ?? policy.operationTimeout, body)
        }
    }
}
