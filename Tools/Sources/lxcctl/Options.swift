// SPDX-License-Identifier: Apache-2.0

public import ArgumentParser
import FoundationEssentials
import LXCHypervisor
public import Logging
import OperatorSupport

/// Understood by every command.
struct CommonOptions: ParsableArguments {
    @Flag(name: .long, help: "Print JSON.")
    var json = false

    @Option(
        name: .long,
        help: ArgumentHelp(
            "A properties file with defaults; without it /etc/lxc-hypervisor/agent.properties, if that exists.",
            valueName: "file"))
    var config: String?

    @Option(name: .long, help: ArgumentHelp("How much is logged to stderr.", valueName: "level"))
    var logLevel: Logger.Level = .warning

    func logger() -> Logger {
        var logger = Logger(label: "lxcctl", factory: { StreamLogHandler.standardError(label: $0) })
        logger.logLevel = logLevel
        return logger
    }

    func settings() throws -> Settings { try Settings(file: config) }
}

extension Logger.Level: @retroactive ExpressibleByArgument {}

/// Names the secondary storage.
struct SecondaryOptions: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp(
            "Secondary storage, which holds template/tmpl: a directory, or nfs://server/export.",
            valueName: "dir|url"))
    var secondary: String?

    func open(_ common: CommonOptions) throws -> any TemplateStore {
        let location = try LXCHypervisor.StoreLocation(
            common.settings().location(secondary, option: "--secondary", key: .secondary))
        if case .directory(let path) = location, !isDirectory(path) {
            throw LXCError(
                .notFound, "there is no directory \(path.escapedForDisplay) for secondary storage; make or mount it")
        }
        return location.secondaryStorage(logger: common.logger())
    }
}

/// Reaches the hypervisor.
struct HostOptions: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp("A libvirt URI; by default the system's libvirtd, else a private one.", valueName: "uri"))
    var connect: String?

    /// Opens libvirt and the primary stores, runs `body`, and closes. Without `--primary` the stores are those of the
    /// settings.
    func withHost<Value>(
        _ common: CommonOptions, primary: PrimaryOptions, _ body: (LXCHypervisor) async throws -> Value
    ) async throws -> Value {
        let settings = try common.settings()
        var configuration = LXCHypervisor.Configuration(
            pools: try primary.pools(common), secondary: settings[.secondary] ?? Settings.defaultSecondary)
        configuration.connection = connection(settings)
        configuration.vifs = try settings.vifs()
        configuration.policy = settings.policy()
        configuration.logger = common.logger()
        return try await LXCHypervisor.withHost(configuration, body)
    }

    func connection(_ settings: Settings) -> LXCHypervisor.Configuration.Connection { settings.connection(connect) }
}

/// A path of this host, where an NFS URL cannot stand.
func localPath(_ location: String) throws -> String {
    guard !location.hasPrefix("nfs://") else {
        throw LXCError(
            .unsupported,
            "\(Locator(location)): an nfs:// location is not possible here; mount the export and give the "
                + "directory")
    }
    guard !location.isEmpty, !location.contains("\0") else {
        throw LXCError(.invalidArgument, "a location must not be empty")
    }
    return location
}

/// Whether there is a directory, or a link to one.
func isDirectory(_ path: String) -> Bool {
    var isDirectory = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) && isDirectory
}

/// Refuses an invalid time.
func checkSeconds(_ seconds: Double, of option: String) throws {
    // A year is longer than any useful wait, and far below the range of a duration.
    guard (0...31_536_000).contains(seconds) else {
        throw ValidationError("\(option) takes a number of seconds from 0 to 31536000.")
    }
}

/// Maps container ids to host ids.
struct IDMapOptions: ParsableArguments {
    @Option(
        name: .customLong("id-map"),
        help: ArgumentHelp(
            "A range of user and group ids, as 0:100000:65536; may be repeated.",
            valueName: "container:host:count"))
    var idMap: [String] = []

    func map() throws -> IDMap? { idMap.isEmpty ? nil : try IDMap(parsing: idMap) }
}
