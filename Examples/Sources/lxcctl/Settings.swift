import Foundation
import LXCHypervisor

/// Defaults from a properties file, so that nobody repeats `--primary` and `--secondary`: CloudStack's
/// `agent.properties`, with keys of this tool's beside CloudStack's.
struct Settings {
    enum Key: String {
        case primary = "local.storage.path"
        case secondary = "lxcctl.secondary.storage"
        case connect = "hypervisor.uri"
        case daemon = "lxcctl.libvirtd.directory"
    }

    static let defaultFile = "/etc/lxc-hypervisor/agent.properties"

    /// What stands for secondary storage where nothing needs it.
    static let defaultSecondary = "/var/lib/lxc-hypervisor/secondary"

    private let file: String
    private var properties = JavaProperties()

    /// Reads the file named, or the default file where there is one.
    init(file: String?) throws {
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

    subscript(key: Key) -> String? { properties[key.rawValue].flatMap { $0.isEmpty ? nil : $0 } }

    /// What the file says of the host in CloudStack's keys.
    func agent() throws -> AgentProperties { try AgentProperties(properties) }

    /// The network drivers the file names, and the bridges they use.
    func vifs() throws -> VifDrivers { try VifDrivers(agentProperties: properties) }

    /// A store's location from the command line or the file.
    func location(_ given: String?, option: String, key: Key) throws -> String {
        guard let location = given ?? self[key] else {
            throw LXCError(
                .invalidArgument, "give \(option), or set \(key.rawValue) in \(file.escapedForDisplay)")
        }
        return location
    }
}

/// A path of this host, where an NFS URL cannot stand.
func localPath(_ location: String) throws -> String {
    guard !location.hasPrefix("nfs://") else {
        throw LXCError(
            .unsupported,
            "\(location.escapedForDisplay): an nfs:// location is not possible here; mount the export and give the "
                + "directory")
    }
    guard !location.isEmpty, !location.contains("\0") else {
        throw LXCError(.invalidArgument, "a location must not be empty")
    }
    return location
}
