import ArgumentParser
import LXCHypervisor

struct PoolCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pool", abstract: "Primary stores.",
        subcommands: [PoolInfo.self, PoolList.self, PoolVerify.self, PoolCollect.self, PoolLeftovers.self])
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
    }

    func run() async throws {
        let store = try await primary.open(common)
        let contents = try await store.contents()
        let report = Report(
            pool: store.id, path: try primary.location(common).description, capacity: try await store.capacity(),
            templates: contents.templates.count, volumes: contents.volumes.count, images: contents.images.count,
            disks: contents.disks.count)
        if common.json { return try Output.json(report) }
        Output.facts([
            ("pool", report.pool.description), ("path", report.path), ("total", report.capacity.total.description),
            ("available", report.capacity.available.description), ("templates", "\(report.templates)"),
            ("volumes", "\(report.volumes)"), ("images", "\(report.images)"), ("disks", "\(report.disks)"),
        ])
    }
}

struct PoolList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists a store's templates and volumes, disk images and disks.")

    @OptionGroup var primary: PrimaryOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let contents = try await primary.open(common).contents()
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
