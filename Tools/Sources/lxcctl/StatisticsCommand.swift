// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import LXCHypervisor

struct ContainerStatistics: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stats", abstract: "Shows what a container uses, or all that run.",
        discussion: "CPU% is the share of all of the host's processors, over the interval.")

    @Argument(help: "The container's name.")
    var name: String?
    @Flag(help: "All containers that run.")
    var all = false
    @Option(help: ArgumentHelp("Over which time CPU% is measured, with --all.", valueName: "seconds"))
    var interval: Double = 1
    @OptionGroup var host: HostOptions
    @OptionGroup var common: CommonOptions

    private struct Row: Encodable {
        var container: GuestName
        var cpuPercent: Double?
        var statistics: GuestStatistics
    }

    func validate() throws {
        guard (name == nil) == all else { throw ValidationError("Give either a NAME or --all.") }
        try checkSeconds(interval, of: "--interval")
    }

    func run() async throws {
        let name = try name.map { try GuestName($0) }
        let connection = try await LXCHypervisor.Connection.open(
            host.connection(common.settings()), logger: common.logger())
        do {
            if let name { try await show(name, connection.driver) } else { try await showAll(connection.driver) }
            await connection.close()
        } catch {
            await connection.close()
            throw error
        }
    }

    private func show(_ name: GuestName, _ driver: LibvirtContainers) async throws {
        let statistics = try await driver.statistics(of: name)
        if common.json { return try Output.json(statistics) }
        Output.facts(
            [
                ("cpu time", "\((statistics.cpuTime / .seconds(1)).fixed(3)) s"),
                ("processors", "\(statistics.virtualCPUs)"),
                ("memory", "\(statistics.memoryUsed) of \(statistics.memoryLimit)"),
                ("cached", statistics.memoryCache?.description), ("swap", statistics.swapUsed?.description),
                ("out of memory", statistics.outOfMemoryKills.map { "\($0) killed" }),
                (
                    "processes",
                    statistics.processes.map { "\($0) of \(statistics.processLimit?.description ?? "any number")" }
                ),
                (
                    "disks",
                    statistics.blockIO.map { "\($0.readBytes) read, \($0.writtenBytes) written" }
                ),
            ]
                + statistics.interfaces.map { interface in
                    (interface.device, "\(interface.receivedBytes) received, \(interface.sentBytes) sent")
                })
    }

    private func showAll(_ driver: LibvirtContainers) async throws {
        let first = interval > 0 ? try await driver.statistics() : [:]
        if interval > 0 { try await Task.sleep(for: .seconds(interval)) }
        let cpus = LXCHypervisor.HostFacts.current().cpus
        let rows = try await driver.statistics().sorted { $0.key < $1.key }.map { name, statistics in
            Row(
                container: name,
                cpuPercent: first[name].flatMap { statistics.cpuPercent(since: $0, hostCPUs: cpus) },
                statistics: statistics)
        }
        if common.json { return try Output.json(rows) }
        Output.table(
            ["NAME", "CPU%", "CPU TIME", "MEMORY", "LIMIT", "PROCESSES", "DISK R/W", "NET R/S"],
            rows.map { row in
                let statistics = row.statistics
                let network = statistics.interfaces.reduce(into: (UInt64(0), UInt64(0))) {
                    $0.0 += $1.receivedBytes.bytes
                    $0.1 += $1.sentBytes.bytes
                }
                return [
                    row.container.description, row.cpuPercent.map { $0.fixed(1) } ?? "-",
                    "\((statistics.cpuTime / .seconds(1)).fixed(1)) s",
                    statistics.memoryUsed.description, statistics.memoryLimit.description,
                    statistics.processes.map(String.init) ?? "-",
                    statistics.blockIO.map { "\($0.readBytes) / \($0.writtenBytes)" } ?? "-",
                    "\(ByteCount(network.0)) / \(ByteCount(network.1))",
                ]
            })
    }
}
