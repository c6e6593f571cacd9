// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import FoundationEssentials
import LXCHypervisor
import OperatorSupport
import PrimaryStore

struct PoolCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pool", abstract: "Primary stores.",
        subcommands: [
            PoolCreate.self, PoolInfo.self, PoolList.self, PoolVerify.self, PoolDelete.self, PoolCollect.self,
            PoolLeftovers.self,
        ])
}

struct PoolCreate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Makes a store in a directory that is there, and prints its UUID.")

    @OptionGroup var primary: PrimaryOptions
    @Option(help: ArgumentHelp("The pool's UUID; by default the configured one, or a random one.", valueName: "uuid"))
    var uuid: String?
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let pool = try await primary.chosen(common)
        let id = try uuid.map { try PoolID(parsing: $0) } ?? pool.id
        let store = try await LXCHypervisor.StoreLocation(pool.location).createPrimaryStore(
            id: id, logger: common.logger())
        if common.json { try Output.json(["pool": store.id.description]) } else { print(store.id) }
    }
}

struct PoolDelete: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete",
        abstract: "Deletes an installed template or disk image of which nothing was made, or what cannot be told.")

    @Argument(help: "The UUID.")
    var uuid: String
    @OptionGroup var primary: PrimaryOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let id = try TemplateID(parsing: uuid)
        try await primary.open(common).deleteTemplate(id)
        if common.json { try Output.json(["deleted": id.description]) }
    }
}

struct PoolInfo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "info", abstract: "Shows a store's size and contents.")

    @OptionGroup var primary: PrimaryOptions
    @OptionGroup var common: CommonOptions

    private struct Report: Encodable {
        var pool: PoolID
        var path: String
        var capacity: StoreCapacity
        var templates: Int
        var volumes: Int
        var images: Int
        var disks: Int
        var broken: Int
    }

    func run() async throws {
        let pool = try await primary.chosen(common)
        let store = try await pool.open(common)
        let contents = try await store.contents()
        let report = Report(
            pool: store.id, path: try LXCHypervisor.StoreLocation(pool.location).description,
            capacity: try await store.capacity(),
            templates: contents.templates.count, volumes: contents.volumes.count, images: contents.images.count,
            disks: contents.disks.count, broken: contents.broken.count)
        if common.json { return try Output.json(report) }
        Output.facts([
            ("pool", report.pool.description), ("path", report.path), ("total", report.capacity.total.description),
            ("available", report.capacity.available.description), ("templates", "\(report.templates)"),
            ("volumes", "\(report.volumes)"), ("images", "\(report.images)"), ("disks", "\(report.disks)"),
            ("broken", "\(report.broken)"),
        ])
    }
}

struct PoolList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Lists the host's pools, or the templates and volumes, disk images and disks of one.",
        discussion: "Without --pool and --primary the pools of the properties file are listed.")

    @OptionGroup var primary: PrimaryOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        guard primary.isGiven else { return try await listPools() }
        try listContents(of: try await primary.open(common).contents())
    }

    private struct Report: Encodable {
        var pool: PoolID?
        var name: String
        var path: String
        var capacity: StoreCapacity?
        var error: String?

        /// Looks at a pool; one that cannot be opened hides no other.
        init(_ pool: LXCHypervisor.Configuration.Pool, _ common: CommonOptions) async {
            self.pool = pool.id
            name = PrimaryOptions.name(of: pool)
            path = Locator(pool.location).description
            do {
                let store = try await pool.open(common)
                self.pool = store.id
                capacity = try await store.capacity()
            } catch {
                self.error = ErrorText.line(of: error)
            }
        }
    }

    private func listPools() async throws {
        var reports: [Report] = []
        for pool in try primary.pools(common) { reports.append(await Report(pool, common)) }
        if common.json { return try Output.json(reports) }
        Output.table(
            ["UUID", "NAME", "TOTAL", "AVAILABLE", "LOCATION"],
            reports.map { report in
                [
                    report.pool?.description ?? "-", report.name.escapedForDisplay,
                    report.capacity?.total.description ?? "-", report.capacity?.available.description ?? "-",
                    report.path,
                ]
            })
        for report in reports {
            if let error = report.error { print("unavailable: \(report.path): \(error)") }
        }
    }

    private func listContents(of contents: StoreContents) throws {
        if common.json { return try Output.json(contents) }
        let templates = contents.templates.map {
            [$0.id.description, "template", $0.logicalSize?.description ?? "-", "-"]
        }
        let volumes = contents.volumes.map {
            [$0.id.description, "volume", $0.logicalSize?.description ?? "-", $0.template?.description ?? "-"]
        }
        let images = contents.images.map { [$0.id.description, "image", $0.virtualSize.description, "-"] }
        let disks = contents.disks.map {
            [$0.id.description, "disk", $0.virtualSize.description, $0.image.description]
        }
        Output.table(["UUID", "KIND", "SIZE", "TEMPLATE"], templates + volumes + images + disks)
        for broken in contents.broken { print("broken: \(broken.id): \(broken.reason)") }
    }
}

struct PoolVerify: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Reads a template again and names what differs from what was installed.")

    @Argument(help: "The template's uuid.")
    var template: String
    @OptionGroup var primary: PrimaryOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let id = try TemplateID(parsing: template)
        let store = try await primary.open(common)
        let differences = try await withProgress("reading") { try await store.verifyTemplate(id, progress: $0) }
        try Output.differences(differences, of: "template \(id)", common)
    }
}

struct PoolCollect: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gc", abstract: "Removes what crashed operations left behind.")

    @OptionGroup var primary: PrimaryOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let removed = try await primary.open(common).collectGarbage()
        if common.json { return try Output.json(["removed": removed]) }
        print(removed == 0 ? "removed nothing" : removed == 1 ? "removed 1 leftover" : "removed \(removed) leftovers")
    }
}

extension Output {
    /// A line on stderr about an implicit action of a command.
    static func note(_ text: String) {
        StandardError.write("lxcctl: \(text.escapedForDisplay)\n")
    }
}
