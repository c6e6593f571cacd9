// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import FoundationEssentials
import LXCHypervisor

struct PoolLeftovers: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "leftovers",
        abstract: "Lists what programs that died left in the primary stores, and removes, releases or adopts it.",
        discussion: """
            Listed are leases of this host on volumes nothing on this host runs from, and volumes no guest of this host has. \
            On a store that hosts share, a volume without a lease may be that of another host's stopped container.
            """)

    @Option(help: ArgumentHelp("Delete this volume, and its lease; may be repeated.", valueName: "uuid"))
    var remove: [String] = []
    @Option(help: ArgumentHelp("Give back the lease on this volume; may be repeated.", valueName: "uuid"))
    var release: [String] = []
    @Option(help: ArgumentHelp("Make a container of this volume, stopped.", valueName: "uuid"))
    var adopt: String?
    @Option(help: ArgumentHelp("What the adopted container is called.", valueName: "name"))
    var name: String?
    @OptionGroup var host: HostOptions
    @OptionGroup var primary: PrimaryOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard (adopt == nil) == (name == nil) else { throw ValidationError("--adopt and --name belong together.") }
    }

    private struct Report: Encodable {
        var removed: [VolumeID] = []
        var released: [VolumeID] = []
        var adopted: GuestName?
    }

    func run() async throws {
        let removals = try remove.map { try VolumeID(parsing: $0) }
        let releases = try release.map { try VolumeID(parsing: $0) }
        let adoption = try adopt.map { try VolumeID(parsing: $0) }
        let name = try name.map { try GuestName($0) }
        guard !removals.isEmpty || !releases.isEmpty || adoption != nil else { return try await list() }
        let report = try await host.withHost(common, primary: primary) { host in
            var report = Report()
            let pool = try primary.poolID(in: host, common)
            for volume in releases {
                try await host.releaseLeftover(volume, in: pool)
                report.released.append(volume)
            }
            for volume in removals {
                try await host.removeLeftover(volume, in: pool)
                report.removed.append(volume)
            }
            if let adoption, let name {
                let template = try await host.leftovers(in: pool).first { $0.volume == adoption }?.template
                var specification = LXCHypervisor.ContainerSpecification(
                    name: name, template: template ?? TemplateID(adoption.uuid))
                specification.volume = adoption
                specification.pool = pool
                report.adopted = try await host.adoptLeftover(specification).name
            }
            return report
        }
        if common.json { return try Output.json(report) }
        report.released.forEach { print("released \($0)") }
        report.removed.forEach { print("removed \($0)") }
        if let adopted = report.adopted { print(adopted) }
    }

    private func list() async throws {
        let leftovers = try await host.withHost(common, primary: primary) {
            try await $0.leftovers(in: primary.poolID(in: $0, common))
        }
        if common.json { return try Output.json(leftovers) }
        Output.table(
            ["VOLUME", "POOL", "KIND", "TEMPLATE", "CREATED", "LEASED FOR", "GUEST"],
            leftovers.map { leftover in
                [
                    leftover.volume.description, leftover.pool.description, leftover.isDisk ? "disk" : "volume",
                    leftover.template?.description ?? "-", leftover.created?.ISO8601Format() ?? "-",
                    leftover.lease.map { $0.use?.escapedForDisplay ?? "unknown" } ?? "-",
                    leftover.guest?.description ?? "-",
                ]
            })
    }
}
