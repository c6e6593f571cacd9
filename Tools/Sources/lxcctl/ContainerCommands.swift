// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import FoundationEssentials
import LXCCore
import LXCHypervisor
import LibvirtXML
import OperatorSupport

struct ContainerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "container", abstract: "Containers, from creation to destruction.",
        subcommands: [
            CreateContainer.self, StartContainer.self, StopContainer.self, DestroyContainer.self, ListContainers.self,
            ShowContainer.self, ContainerStatistics.self, ContainerConsole.self, ContainerExec.self,
            ContainerPush.self, ContainerPull.self, RebootContainer.self, SuspendContainer.self,
            ResumeContainer.self, WaitForContainer.self, SetContainer.self, ContainerEvents.self,
            ContainerLog.self,
        ])
}

struct CreateContainer: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Clones a root volume and defines a container, stopped.",
        discussion: "Give either a NAME and options, or --spec with a JSON file.")

    @Argument(help: "The container's name.")
    var name: String?
    @Option(help: ArgumentHelp("A JSON file with the whole specification.", valueName: "file"))
    var spec: String?
    @OptionGroup var description: SpecificationOptions
    @OptionGroup var host: HostOptions
    @OptionGroup var primary: PrimaryOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard (name == nil) != (spec == nil) else { throw ValidationError("Give either a NAME or --spec FILE.") }
        guard spec == nil || (description.isEmpty && primary.pool == nil) else {
            throw ValidationError("The file of --spec says everything; leave the other options out.")
        }
        guard spec != nil || description.template != nil else { throw ValidationError("--template is missing.") }
    }

    func run() async throws {
        let specification: LXCHypervisor.ContainerSpecification =
            try spec.map { try JSONFile.specification($0) } ?? description.specification(name ?? "")
        let container = try await host.withHost(common, primary: primary) { host in
            var created = specification
            created.pool = try primary.poolID(in: host, common) ?? specification.pool
            let container = try await withProgress("cloning") { [created] in
                try await host.createContainer(created, progress: $0)
            }
            // With the ids that were chosen for it.
            created.privilege = try await container.domain().idMap.map { .unprivileged($0) } ?? .privileged
            return created
        }
        if common.json { try Output.json(container) } else { print(container.name) }
    }
}

/// A specification by options, without a file.
struct SpecificationOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The template's UUID on primary storage.", valueName: "uuid"))
    var template: String?
    @Option(help: ArgumentHelp("The root volume's UUID; by default a random one.", valueName: "uuid"))
    var volume: String?
    @Flag(help: "The container's root is the host's root, held by capabilities alone.")
    var privileged = false
    @OptionGroup var map: IDMapOptions
    @Option(help: ArgumentHelp("The memory it may use, such as 1GiB; by default 512MiB.", valueName: "size"))
    var memory: String?
    @Option(help: ArgumentHelp("How many processors it has; by default 1.", valueName: "n"))
    var cpus: Int?
    @Option(
        help: ArgumentHelp(
            "The most processes and threads; by default \(GuestLimits.standardProcesses), 0 for no limit.",
            valueName: "n"))
    var processes: UInt64?
    @Option(help: "A bridge to connect to; may be repeated: eth0, eth1, …")
    var bridge: [String] = []
    @Option(
        name: .customLong("init"),
        help: ArgumentHelp("The program run as process 1; by default /sbin/init.", valueName: "path"))
    var initializer: String?
    @Option(
        name: .customLong("arg"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp("An argument of process 1, also one that begins with -; may be repeated.", valueName: "text")
    )
    var arguments: [String] = []
    @Option(
        name: .customLong("env"),
        help: ArgumentHelp("A variable of process 1; may be repeated.", valueName: "name=value"))
    var environment: [String] = []
    @Option(help: ArgumentHelp("For whom it runs.", valueName: "text"))
    var owner: String?
    @Option(
        help: ArgumentHelp(
            "The signal that asks it to end, such as SIGTERM; by default what its init is decides.", valueName: "name"))
    var stopSignal: String?
    @Option(help: "What happens when it ends without having been stopped, while a program watches.")
    var restart: ContainerMetadata.RestartPolicy?
    @Flag(help: "libvirt starts it when it starts itself.")
    var autostart = false
    @Option(
        help: ArgumentHelp(
            "The size of its console log, written while a program watches; at least 8KiB.",
            valueName: "size"))
    var consoleLog: String?

    func validate() throws {
        guard !privileged || map.idMap.isEmpty else {
            throw ValidationError("--privileged and --id-map exclude each other.")
        }
    }

    /// Whether no option was given.
    var isEmpty: Bool {
        [template, volume, memory, initializer, owner, stopSignal, consoleLog].allSatisfy { $0 == nil } && cpus == nil
            && processes == nil && restart == nil && !privileged && !autostart
            && [map.idMap, bridge, arguments, environment].allSatisfy(\.isEmpty)
    }

    func specification(_ name: String) throws -> LXCHypervisor.ContainerSpecification {
        var specification = LXCHypervisor.ContainerSpecification(
            name: try GuestName(name), template: try TemplateID(parsing: template ?? ""),
            privilege: privileged ? .privileged : try map.map().map { .unprivileged($0) })
        specification.volume = try volume.map { try VolumeID(parsing: $0) } ?? specification.volume
        specification.limits.memory = try memory.map { try ByteCount(parsing: $0) } ?? specification.limits.memory
        specification.cpus = cpus ?? specification.cpus
        if let processes { specification.limits.processes = processes == 0 ? nil : processes }
        specification.nics = bridge.enumerated().map { NIC(deviceID: $0.offset, bridge: $0.element) }
        specification.initProcess.path = initializer ?? specification.initProcess.path
        specification.initProcess.arguments = arguments
        specification.initProcess.environment = try EnvironmentOption.values(environment)
        specification.owner = owner
        specification.stopSignal = try stopSignal.map { try GuestSignal(parsing: $0) }
        specification.restart = restart ?? .never
        specification.isAutostarted = autostart
        specification.consoleLog = try consoleLog.map { try ByteCount(parsing: $0) }
        return specification
    }
}

/// The texts of `--env`.
enum EnvironmentOption {
    static func values(_ texts: [String]) throws -> [String: String] {
        try texts.reduce(into: [:]) { values, entry in
            let parts = entry.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[0].isEmpty else {
                throw LXCError(.invalidArgument, "--env takes NAME=VALUE, not \"\(entry.escapedForDisplay)\"")
            }
            values[String(parts[0])] = String(parts[1])
        }
    }
}

/// Names one container that is there.
struct ContainerArgument: ParsableArguments {
    @Argument(help: "The container's name.")
    var name: String
    @OptionGroup var host: HostOptions
    @OptionGroup var primary: PrimaryOptions
    @OptionGroup var common: CommonOptions

    /// Runs `body` with the container. Where no primary store is named, it is the one the container's root is in.
    func withContainer<Value>(_ body: (LXCHypervisor.Container) async throws -> Value) async throws -> Value {
        guard let value = try await withContainerIfAny(body) else { throw unknown }
        return value
    }

    /// Runs `body` as ``withContainer(_:)`` does; nil where there is no container of the name.
    func withContainerIfAny<Value>(_ body: (LXCHypervisor.Container) async throws -> Value) async throws -> Value? {
        let name = try GuestName(name)
        let settings = try common.settings()
        let connection = try await LXCHypervisor.Connection.open(host.connection(settings), logger: common.logger())
        do {
            guard try await isKnown(name, connection.driver) else {
                await connection.close()
                return nil
            }
            let store = try await store(of: name, connection, settings)
            let hypervisor = LXCHypervisor(
                driver: connection.driver, primary: store,
                templates: try LXCHypervisor.StoreLocation(settings[.secondary] ?? Settings.defaultSecondary)
                    .secondaryStorage(logger: common.logger()),
                vifs: try settings.vifs(),
                hostName: LXCHypervisor.HostFacts.leaseHolder(), policy: settings.policy(), logger: common.logger())
            let value = try await body(hypervisor.container(name))
            await connection.close()
            return value
        } catch {
            await connection.close()
            throw error
        }
    }

    /// Runs `body` with the driver of a container, without its volume: the primary store may be missing.
    func withDriver<Value>(_ body: (LibvirtContainers, GuestName) async throws -> Value) async throws -> Value {
        let name = try GuestName(name)
        let settings = try common.settings()
        let connection = try await LXCHypervisor.Connection.open(host.connection(settings), logger: common.logger())
        do {
            guard try await isKnown(name, connection.driver) else { throw unknown }
            let value = try await body(connection.driver, name)
            await connection.close()
            return value
        } catch {
            await connection.close()
            throw error
        }
    }

    private var unknown: LXCError {
        LXCError(.notFound, "there is no container \(name); `lxcctl container list` shows those there are")
    }

    private func isKnown(_ name: GuestName, _ driver: LibvirtContainers) async throws -> Bool {
        do {
            _ = try await driver.guest(name)
            return true
        } catch let error as LXCError where error.code == .notFound {
            return false
        }
    }

    /// The store of the container's root. An unreachable store fails only the commands that need it: a container can be
    /// stopped while its store is not mounted.
    private func store(
        of name: GuestName, _ connection: LXCHypervisor.Connection, _ settings: Settings
    ) async throws -> any PrimaryStore {
        do {
            return try await openStore(of: name, connection, settings)
        } catch let error as LXCError where !primary.isGiven {
            guard let pool = try await connection.driver.definition(of: name).containerMetadata()?.pool else {
                throw error
            }
            return LXCHypervisor.UnreachableStore(pool, because: error)
        }
    }

    private func openStore(
        of name: GuestName, _ connection: LXCHypervisor.Connection, _ settings: Settings
    ) async throws -> any PrimaryStore {
        let driver = connection.driver
        let mounter = LXCHypervisor.LibvirtMounter(driver, daemon: connection.privateDaemon)
        if primary.isGiven { return try await primary.chosen(common).open(common, mounter: mounter) }
        let definition = try await driver.definition(of: name)
        let pools = try settings.pools()
        guard let wanted = try definition.containerMetadata()?.pool, pools.count > 1 else {
            if let pool = pools.first { return try await pool.open(common, mounter: mounter) }
            return try await LXCHypervisor.Configuration.Pool(directory(of: name, definition))
                .open(common, mounter: mounter)
        }
        if let pool = pools.first(where: { $0.id == wanted }) { return try await pool.open(common, mounter: mounter) }
        for pool in pools where pool.id == nil {
            if let store = try? await pool.open(common, mounter: mounter), store.id == wanted { return store }
        }
        return try await LXCHypervisor.Configuration.Pool(directory(of: name, definition), id: wanted)
            .open(common, mounter: mounter)
    }

    /// The directory of the store in which the container's root is.
    private func directory(of name: GuestName, _ definition: Domain) async throws -> String {
        guard case .mount(let root)? = definition.filesystems.first(where: { $0.target == "/" })?.source else {
            throw LXCError(
                .invalidArgument, "the root of \(name) is in no store that can be told from it; give --primary")
        }
        let path = URL(filePath: root).deletingLastPathComponent().path(percentEncoded: false)
        // The container knows that there was one, so this can be said plainly.
        guard FileManager.default.fileExists(atPath: "\(path)/.lxc/pool.json") else {
            throw LXCError(
                .unavailable,
                "the primary store of \(name) is not at \(path.escapedForDisplay) any more; mount it, or give its "
                    + "location by --primary")
        }
        return path
    }

    /// The output of a successful command.
    func report(_ state: String) throws {
        if common.json { try Output.json(["container": name, "state": state]) } else { print("\(name) \(state)") }
    }
}

struct StartContainer: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "start", abstract: "Starts a container.")

    @OptionGroup var argument: ContainerArgument

    func run() async throws {
        try await argument.withContainer { try await $0.start() }
        try argument.report("running")
    }
}

struct StopContainer: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop", abstract: "Asks a container to end, and kills it when it does not.")

    @OptionGroup var argument: ContainerArgument
    @Option(help: ArgumentHelp("How long it has to end by itself.", valueName: "seconds"))
    var timeout: Double = 30

    func validate() throws { try checkSeconds(timeout, of: "--timeout") }

    private struct Report: Encodable {
        var container: String
        var state: String
        var outcome: LXCHypervisor.StopOutcome
    }

    func run() async throws {
        let outcome = try await argument.withContainer { try await $0.stop(within: .seconds(timeout)) }
        if argument.common.json {
            return try Output.json(Report(container: argument.name, state: "shutOff", outcome: outcome))
        }
        print("\(argument.name) shutOff (\(outcome.rawValue))")
    }
}

struct DestroyContainer: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "destroy", abstract: "Kills a container, forgets it and deletes its volume.")

    @OptionGroup var argument: ContainerArgument

    func run() async throws {
        // A missing container counts as success, like a missing volume or template.
        _ = try await argument.withContainerIfAny { try await $0.delete() }
        try argument.report("destroyed")
    }
}

struct ListContainers: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "Lists the containers.")

    @OptionGroup var host: HostOptions
    @OptionGroup var common: CommonOptions

    func run() async throws { try await host.listGuests(of: \.driver, common) }
}

extension HostOptions {
    /// Prints the guests of one of the host's drivers.
    func listGuests(of driver: KeyPath<LXCHypervisor.Connection, some LibvirtDriver>, _ common: CommonOptions)
        async throws
    {
        let connection = try await LXCHypervisor.Connection.open(
            self.connection(common.settings()), logger: common.logger())
        let guests: [Guest]
        do {
            guests = try await connection[keyPath: driver].guests()
        } catch {
            await connection.close()
            throw error
        }
        await connection.close()
        if common.json { return try Output.json(guests) }
        Output.table(
            ["NAME", "STATE", "ID", "UUID"],
            guests.map {
                [
                    $0.name.description, $0.state.rawValue, $0.id.map(String.init) ?? "-",
                    $0.uuid.uuidString.lowercased(),
                ]
            })
    }
}

struct ShowContainer: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "show", abstract: "Shows one container.")

    @OptionGroup var argument: ContainerArgument

    private struct Report: Encodable {
        var guest: Guest
        var root: String?
        var template: TemplateID?
        var volume: VolumeID?
        var pool: PoolID?
        var owner: String?
        var privileged: Bool
        var memory: ByteCount?
        var processes: UInt64?
        var interfaces: [Interface]

        struct Interface: Encodable {
            var device: String?
            var mac: String?
            var guestDevice: String?
        }

        init(_ guest: Guest, _ document: Domain, _ limits: GuestLimits) throws {
            self.guest = guest
            let metadata = try document.containerMetadata()
            template = metadata?.template
            volume = metadata?.volume
            pool = metadata?.pool
            owner = metadata?.owner
            privileged = document.idMap?.hasHostRoot ?? true
            // The document has the highest value memory was ever set to.
            memory = limits.memory ?? document.memory
            processes = metadata?.processes ?? (metadata == nil ? nil : GuestLimits.standardProcesses)
            interfaces = document.interfaces.map {
                Interface(device: $0.targetDevice, mac: $0.mac?.description, guestDevice: $0.guestDevice)
            }
            if case .mount(let path)? = document.filesystems.first(where: { $0.target == "/" })?.source { root = path }
        }
    }

    func run() async throws {
        let report = try await argument.withContainer { try await Report($0.info(), $0.domain(), $0.limits()) }
        if argument.common.json { return try Output.json(report) }
        Output.facts(
            [
                ("name", report.guest.name.description), ("state", report.guest.state.rawValue),
                ("id", report.guest.id.map(String.init)), ("uuid", report.guest.uuid.uuidString.lowercased()),
                ("root", report.root), ("template", report.template?.description),
                ("pool", report.pool?.description),
                ("owner", report.owner?.escapedForDisplay),
                ("privileged", "\(report.privileged)"), ("memory", report.memory?.description),
                ("processes", report.processes.map { $0 == 0 ? "unlimited" : "at most \($0)" }),
            ]
                + report.interfaces.enumerated().map { index, interface in
                    (interface.guestDevice ?? "eth\(index)", "\(interface.mac ?? "-") on \(interface.device ?? "-")")
                })
    }
}
