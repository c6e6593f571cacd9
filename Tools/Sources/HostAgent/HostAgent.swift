// SPDX-License-Identifier: Apache-2.0

public import ArgumentParser
import CloudStack
import FoundationEssentials
import Glibc
import HostAgentPlan
import LXCHypervisor
public import Logging
import OperatorSupport
import ServiceLifecycle
import UnixSignals

/// Keeps a host's containers as declared in a file, until it is asked to end (Documentation/Operations.md).
struct HostAgent: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "host-agent",
        abstract: "Keeps a host's containers as a JSON file declares them.",
        discussion:
            "SIGHUP reads the file at once and tries again what waits; SIGTERM and SIGINT end it, and the containers go on.",
        version: "0.1.0")

    @Argument(help: "The JSON file that declares the containers.")
    var containers: String
    @Option(
        help: ArgumentHelp(
            "The host's properties file; without it \(Settings.defaultFile), if that exists.", valueName: "file"))
    var config: String?
    @Option(
        help: ArgumentHelp("A libvirt URI; by default the system's libvirtd, else a private one.", valueName: "uri"))
    var connect: String?
    @Option(help: ArgumentHelp("The name by which it recognizes the containers it made.", valueName: "name"))
    var name = "host-agent"
    @Option(help: ArgumentHelp("How often it looks without having been told to.", valueName: "seconds"))
    var interval: Double = 10
    @Flag(help: "Containers it made that are declared no more are destroyed, with their roots; else they are stopped.")
    var destroyUndeclared = false
    @Flag(help: "Stop the containers it made when it ends.")
    var stopContainers = false
    @Option(help: ArgumentHelp("How much is logged to stderr.", valueName: "level"))
    var logLevel = Logger.Level.info

    func validate() throws {
        // A day is longer than any useful interval.
        guard (0.1...86_400).contains(interval) else {
            throw ValidationError("--interval takes a number of seconds from 0.1 to 86400.")
        }
    }

    func run() async throws {
        // Before anything else: its default is the end of the program.
        let hangups = await UnixSignalsSequence(trapping: .sighup)
        let logger = makeLogger("host-agent", logLevel)
        let mark = try OwnerMark(agent: name)
        // Nothing is known to be good yet, so a file that cannot be used is an error now.
        let reading = await DeclarationFile(path: containers).read()
        let declaration = try reading.declaration.get()
        try await LXCHypervisor.withHost(hostConfiguration()) { host in
            let agent = Agent(
                host: host, file: DeclarationFile(path: containers), reading.stamp, declaration,
                plan: Plan(pools: host.pools.map(\.id), mark: mark, destroysUndeclared: destroyUndeclared),
                options: .init(interval: .seconds(interval), stopsContainers: stopContainers), hangups: hangups,
                logger: logger)
            // They end in the opposite order: the host is watched over until the agent has done its last work.
            let group = ServiceGroup(
                configuration: .init(
                    services: [.init(service: host), .init(service: agent)],
                    gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
            try await group.run()
        }
    }

    private func hostConfiguration() throws -> LXCHypervisor.Configuration {
        let settings = try Settings(file: config)
        var agent = try settings.agent()
        let unknown = agent.unknown.keys.sorted()
        agent.unknown = [:]
        var configuration = try LXCHypervisor.Configuration(
            agentProperties: agent, secondary: settings[.secondary] ?? Settings.defaultSecondary)
        configuration.connection = settings.connection(connect)
        // No management server knows the containers, so libvirt stores their definitions; unless declared otherwise
        // they are isolated.
        configuration.policy.defaultPrivilege = .isolated
        configuration.policy.keepsDefinitions = true
        configuration.policy.consoleLogs = settings.policy().consoleLogs
        // The agent logs its own actions and failures.
        configuration.logger = makeLogger("lxc-hypervisor", logLevel <= .debug ? logLevel : max(logLevel, .warning))
        for key in unknown {
            configuration.logger.warning(
                "the configuration file has an unknown key", metadata: ["key": "\(key.escapedForDisplay)"])
        }
        return configuration
    }

    private func makeLogger(_ label: String, _ level: Logger.Level) -> Logger {
        var logger = Logger(label: label, factory: { StreamLogHandler.standardError(label: $0) })
        logger.logLevel = level
        return logger
    }
}

extension Logger.Level: @retroactive ExpressibleByArgument {}

@main
enum Main {
    static func main() async {
        do {
            var command = try HostAgent.parseAsRoot()
            guard let agent = command as? HostAgent else { return try command.run() }
            do {
                try await agent.run()
            } catch {
                StandardError.write("host-agent: \(ErrorText.line(of: error))\n")
                exit(EXIT_FAILURE)
            }
        } catch {
            HostAgent.exit(withError: error)  // 0 for help and version, 64 for usage.
        }
    }
}
