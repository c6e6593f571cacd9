// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import FoundationEssentials
import LXCHypervisor

struct LeaseCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lease", abstract: "Which host uses which volume of a primary store.",
        subcommands: [ShowLeases.self, BreakLease.self])
}

struct ShowLeases: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Shows the leases of a primary store, or that on one volume.")

    @Argument(help: "The volume's UUID; without it all are shown.")
    var uuid: String?
    @OptionGroup var primary: PrimaryOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let id = try uuid.map { try VolumeID(parsing: $0) }
        let store = try await primary.open(common)
        let leases = if let id { try await [store.lease(on: id)].compactMap(\.self) } else { try await store.leases() }
        if let id, leases.isEmpty { throw LXCError(.notFound, "there is no lease on volume \(id)") }
        if common.json { return try Output.json(leases) }
        Output.table(
            ["VOLUME", "HOLDER", "USE", "SINCE", "UNTIL"],
            leases.map { lease in
                [
                    lease.volume.description, lease.holder.escapedForDisplay, lease.use?.escapedForDisplay ?? "-",
                    lease.acquired.ISO8601Format(), lease.expires?.ISO8601Format() ?? "-",
                ]
            })
    }
}

struct BreakLease: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "break", abstract: "Removes the lease on a volume, whoever holds it.",
        discussion: """
            Only where it is certain that nothing runs from the volume: two hosts that write to one root destroy it. What is \
            broken is logged.
            """)

    @Argument(help: "The volume's UUID.")
    var uuid: String
    @Flag(help: "Confirms the removal; without it the lease is only shown.")
    var force = false
    @OptionGroup var primary: PrimaryOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let id = try VolumeID(parsing: uuid)
        let store = try await primary.open(common)
        guard force else {
            guard let lease = try await store.lease(on: id) else {
                throw LXCError(.notFound, "there is no lease on volume \(id)")
            }
            throw LXCError(
                .inUse, "\(lease.conflict.message); when nothing runs from it for certain, say --force")
        }
        guard try await store.breakLease(on: id) else {
            throw LXCError(.notFound, "there is no lease on volume \(id)")
        }
        if common.json { try Output.json(["broken": id.description]) } else { print("broke the lease on \(id)") }
    }
}
