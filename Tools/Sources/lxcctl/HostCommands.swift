// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import LXCHypervisor

struct HostCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "host", abstract: "This host.", subcommands: [HostInfo.self, HostStats.self, HostReport.self])
}

struct HostInfo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "info", abstract: "Shows what this host is, and which libvirt answers on it.")

    @OptionGroup var host: HostOptions
    @OptionGroup var common: CommonOptions

    private struct Report: Encodable {
        struct Libvirt: Encodable {
            var uri: String
            var version: String
            var isPrivate: Bool
        }

        var host: LXCHypervisor.HostFacts
        var libvirt: Libvirt
        var containers: Int
    }

    func run() async throws {
        let connection = try await LXCHypervisor.Connection.open(
            host.connection(common.settings()), logger: common.logger())
        let report: Report
        do {
            report = try await Report(
                host: .current(),
                libvirt: .init(
                    uri: connection.uri.description, version: connection.driver.version(),
                    isPrivate: connection.privateDaemon != nil),
                containers: connection.driver.guests().count)
        } catch {
            await connection.close()
            throw error
        }
        await connection.close()
        if common.json { return try Output.json(report) }
        Output.facts([
            ("host", report.host.hostName), ("kernel", report.host.kernel), ("architecture", report.host.architecture),
            ("processors", "\(report.host.cpus)"), ("memory", report.host.memory.description),
            ("control groups", report.host.controlGroups.rawValue),
            ("libvirt", "\(report.libvirt.version) at \(report.libvirt.uri)"), ("containers", "\(report.containers)"),
        ])
    }
}
