// SPDX-License-Identifier: Apache-2.0

package import CloudStack
import FoundationEssentials
import Glibc
import LXCCore
package import LXCHypervisor

/// Defaults from a properties file, in place of repeated `--primary` and `--secondary`: CloudStack's
/// `agent.properties`, with keys of this tool's besides CloudStack's.
package struct Settings {
    package enum Key: String {
        case primary = "local.storage.path"
        case secondary = "lxcctl.secondary.storage"
        case connect = "hypervisor.uri"
        case daemon = "lxcctl.libvirtd.directory"
        case consoleLogs = "lxcctl.console.directory"
    }

    package static let defaultFile = "/etc/lxc-hypervisor/agent.properties"

    /// A stand-in for secondary storage in commands that do not need it.
    package static let defaultSecondary = "/var/lib/lxc-hypervisor/secondary"

    private let file: String
    private var properties = JavaProperties()

    /// Reads the file named, or the default file where there is one.
    package init(file: String?) throws {
        self.file = file ?? Self.defaultFile
        guard let contents = FileManager.default.contents(atPath: self.file) else {
            // The default file may be missing; an existing one must be readable.
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

    /// The connection to libvirt: the given URI, the file's, or else the system daemon or a private one.
    package func connection(_ uri: String?) -> LXCHypervisor.Configuration.Connection {
        if let uri = uri ?? self[.connect] { return .uri(Locator(uri)) }
        // One daemon for all programs that find no system daemon: it ends some time after the last container.
        return .automatic(
            .init(
                directory: self[.daemon] ?? "/run/lxc-hypervisor/lxcctl",
                lifetime: .lingering(idleTimeout: .seconds(10))))
    }

    /// The policy for containers: this package's defaults.
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
