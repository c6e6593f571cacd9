package import CloudStack
import Foundation
package import LXCHypervisor

/// Defaults from a properties file, so that nobody repeats `--primary` and `--secondary`: CloudStack's
/// `agent.properties`, with keys of this tool's beside CloudStack's.
package struct Settings {
    package enum Key: String {
        case primary = "local.storage.path"
        case secondary = "lxcctl.secondary.storage"
        case connect = "hypervisor.uri"
        case daemon = "lxcctl.libvirtd.directory"
        case consoleLogs = "lxcctl.console.directory"
    }

    package static let defaultFile = "/etc/lxc-hypervisor/agent.properties"

    /// What stands for secondary storage where nothing needs it.
    package static let defaultSecondary = "/var/lib/lxc-hypervisor/secondary"

    private let file: String
    private var properties = JavaProperties()

    /// Reads the file named, or the default file where there is one.
    package init(file: String?) throws {
        self.file = file ?? Self.defaultFile
        guard let contents = FileManager.default.contents(atPath: self.file) else {
            // The default file need not be there; one that is there has to be readable.
            if file == nil, access(self.file, F_OK) != 0 { return }
            throw LXCError(
                .notFound, "cannot read the configuration file \(self.file.escapedForDisplay); check its path and mode")
        }
        do {
            properties = try JavaProperties(parsing: contents)
        } catch let error as LXCError {
            throw LXCError(
                error.code, "the configuration file \(self.file.escapedForDisplay): \(error.message)",
                cause: error.cause)
        }
    }

    package subscript(key: Key) -> String? { properties[key.rawValue].flatMap { $0.isEmpty ? nil : $0 } }

    /// The primary stores the file names, the default first; none where it names none.
    package func pools() throws -> [LXCHypervisor.Configuration.Pool] {
        guard self[.primary] != nil else { return [] }
        return try AgentProperties.localPools(of: properties) ?? []
    }

    /// What the file says of the host in CloudStack's keys.
    package func agent() throws -> AgentProperties {
        var agent = try AgentProperties(properties)
        agent.unknown = agent.unknown.filter { !$0.key.hasPrefix("lxcctl.") }
        return agent
    }

    /// The network drivers the file names, and the bridges they use.
    package func vifs() throws -> LXCHypervisor.VifDrivers { try LXCHypervisor.VifDrivers(agentProperties: agent()) }

    /// Where libvirt is reached: at the URI given, at the file's, else by the system's daemon or a private one.
    package func connection(_ uri: String?) -> LXCHypervisor.Configuration.Connection {
        if let uri = uri ?? self[.connect] { return .uri(Locator(uri)) }
        // One daemon for all programs that find no system daemon: it ends by itself some time after the last container.
        return .automatic(
            .init(
                directory: self[.daemon] ?? "/run/lxc-hypervisor/lxcctl",
                lifetime: .lingering(idleTimeout: .seconds(10))))
    }

    /// How containers are kept: this package's way.
    package func policy() -> LXCHypervisor.Policy {
        var policy = LXCHypervisor.Policy()
        if let directory = self[.consoleLogs] { policy.consoleLogs.directory = directory }
        return policy
    }

    /// A store's location from the command line or the file.
    package func location(_ given: String?, option: String, key: Key) throws -> String {
        guard let location = given ?? self[key] else { throw missing(option, key) }
        return location
    }

    /// The error where neither the command line nor the file says something.
    package func missing(_ option: String, _ key: Key) -> LXCError {
        LXCError(.invalidArgument, "give \(option), or set \(key.rawValue) in \(file.escapedForDisplay)")
    }
}
