// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import CloudStack
import LXCHypervisor
import OperatorSupport
import PrimaryStore

struct HostStats: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stats", abstract: "Shows what this host uses and has left.",
        discussion:
            "Memory for guests is what is left of the memory after host.reserved.mem.mb, and host.overcommit.mem.mb "
            + "more.")

    @Option(help: ArgumentHelp("Over which time the use of processors is measured.", valueName: "seconds"))
    var interval: Double = 1
    @OptionGroup var primary: PrimaryOptions
    @OptionGroup var common: CommonOptions

    private struct Report: Encodable {
        var cpuPercent: Double
        var host: LXCHypervisor.HostStatistics
    }

    func validate() throws { try checkSeconds(interval, of: "--interval") }

    func run() async throws {
        let settings = try common.settings()
        let agent = try settings.agent()
        let first = try await LXCHypervisor.HostStatistics.current()
        try await Task.sleep(for: .seconds(interval))
        var statistics = try await LXCHypervisor.HostStatistics.current(
            reserved: agent.reservedMemory, overcommitted: agent.overcommittedMemory)
        if primary.isGiven || settings[.primary] != nil {
            let pools = primary.isGiven ? [try await primary.chosen(common)] : try primary.pools(common)
            for pool in pools {
                let store = try await pool.open(common)
                statistics.pools.append(.init(id: store.id, capacity: try await store.capacity()))
            }
        }
        let report = Report(cpuPercent: statistics.cpuPercent(since: interval > 0 ? first : nil), host: statistics)
        if common.json { return try Output.json(report) }
        Output.facts(
            [
                ("processors", "\(statistics.cpus), \(report.cpuPercent.fixed(1)) % in use"),
                ("load", statistics.loadAverages.map { $0.fixed(2) }.joined(separator: " ")),
                ("memory", "\(statistics.memory), \(statistics.memoryAvailable) available"),
                ("for guests", statistics.memoryForGuests.description),
                ("uptime", "\(statistics.uptime.components.seconds) s"), ("root", room(statistics.root)),
            ] + statistics.pools.map { ("pool \($0.id)", $0.capacity.map(room)) })
    }

    private func room(_ capacity: StoreCapacity) -> String { "\(capacity.total), \(capacity.available) available" }
}

struct HostReport: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report", abstract: "Says which containers and virtual machines of this host are on.",
        discussion:
            "A driver of libvirt's that does not answer is named, and the command fails after it has printed what "
            + "the other said: a guest that is missing then may well be on.")

    @OptionGroup var host: HostOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let connection = try await LXCHypervisor.Connection.open(
            host.connection(common.settings()), logger: common.logger())
        let report = await PowerReport.collect(
            from: [connection.driver, connection.systemVMs], hostName: LXCHypervisor.HostFacts.current().hostName)
        await connection.close()
        if common.json {
            try Output.json(report)
        } else {
            Output.table(
                ["NAME", "DRIVER", "POWER"], report.guests.map { [$0.name.description, $0.driver, $0.power.rawValue] })
        }
        if let failure = report.failures.first {
            throw LXCError(
                .unavailable, "\(failure.driver) does not answer, so the report is not complete: \(failure.reason)")
        }
    }
}
