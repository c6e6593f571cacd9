// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import LXCHypervisor

struct VolumeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "volume", abstract: "Root volumes on primary storage.",
        subcommands: [CreateVolume.self, ListVolumes.self, DeleteVolume.self])
}

struct CreateVolume: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Clones an installed template into a new volume.")

    @Option(help: ArgumentHelp("The template's UUID on primary storage.", valueName: "uuid"))
    var template: String
    @OptionGroup var primary: PrimaryOptions
    @Option(help: ArgumentHelp("The volume's UUID; by default a random one.", valueName: "uuid"))
    var uuid: String?
    @OptionGroup var map: IDMapOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let base = try TemplateID(parsing: template)
        let id = try uuid.map { try VolumeID(parsing: $0) } ?? .random()
        let idMap = try map.map()
        let store = try await primary.open(common)
        let volume = try await withProgress("cloning") {
            try await store.createVolume(id, from: base, idMap: idMap, progress: $0)
        }
        if common.json { try Output.json(volume) } else { print(volume.id) }
    }
}

struct ListVolumes: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "Lists the volumes.")

    @OptionGroup var primary: PrimaryOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let volumes = try await primary.open(common).contents().volumes
        if common.json { return try Output.json(volumes) }
        Output.table(
            ["UUID", "TEMPLATE", "SIZE", "ID MAP"],
            volumes.map { volume in
                [
                    volume.id.description, volume.template?.description ?? "-", volume.logicalSize?.description ?? "-",
                    volume.idMap?.users.map(\.description).joined(separator: ",") ?? "-",
                ]
            })
    }
}

struct DeleteVolume: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "delete", abstract: "Deletes a volume.")

    @Argument(help: "The volume's UUID.")
    var uuid: String
    @OptionGroup var primary: PrimaryOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let id = try VolumeID(parsing: uuid)
        try await primary.open(common).deleteVolume(id)
        if common.json { try Output.json(["deleted": id.description]) }
    }
}
