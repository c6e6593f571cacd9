public import FileTree
import Glibc
public import LXCCore
public import Logging
public import NFSClient
import NFSStoreFiles
import OpenSSL
public import StoreFiles

/// Secondary storage on an NFS server, laid out as CloudStack does, worked on without any mount: the data goes between this
/// process and the server, with many calls under way. The tar of a template is unpacked on a primary store on NFS without
/// a copy of it on this host.
///
/// Hosts exclude each other by files on the server that their holders renew. Register and delete through this type on
/// every host, or through ``LocalSecondaryStorage`` on a mount on every host; reading takes no locks.
///
/// An archive from a web server is downloaded to this host first, where an interrupted download waits to be resumed.
public struct NFSSecondaryStorage: DiskImageStore {
    /// The directory that holds `template/`.
    public let url: NFSURL
    /// Where downloads stand on this host: made where it is missing, and this user's alone.
    public let downloads: String

    private let connection: Connection
    private let pool: BlockingPool
    private let logger: Logger

    /// Takes a URL; the server is connected to when it is first needed.
    ///
    /// - Parameters:
    ///   - url: a directory that exists on the server when it is used.
    ///   - downloads: an absolute path on this host; nil for `/var/tmp/lxc-hypervisor-<user id>`.
    ///   - options: how the client behaves.
    ///   - pool: threads for what blocks. Downloads have threads of their own.
    ///   - logger: takes what is done, at `info`.
    public init(
        _ url: NFSURL, downloads: String? = nil, options: NFSClientOptions = NFSClientOptions(),
        pool: BlockingPool = .shared, logger: Logger = Logger(label: "lxc-hypervisor.templates")
    ) {
        self.url = url
        self.downloads = downloads ?? "/var/tmp/lxc-hypervisor-\(geteuid())"
        self.pool = pool
        self.logger = logger
        connection = Connection(url, options, pool)
    }

    /// The connection that all calls share.
    private actor Connection {
        private let url: NFSURL
        private let options: NFSClientOptions
        private let pool: BlockingPool
        private var client: NFSClient?

        init(_ url: NFSURL, _ options: NFSClientOptions, _ pool: BlockingPool) {
            self.url = url
            self.options = options
            self.pool = pool
        }

        func open() async throws -> NFSClient {
            if let client { return client }
            let new = try await NFSClient.connect(to: url, options: options, pool: pool)
            // Another call may have been faster; one connection ends with its last user.
            client = client ?? new
            return client ?? new
        }
    }

    private func shelf() async throws -> TemplateShelf {
        let files = NFSStoreFiles(try await connection.open(), pool: pool)
        let storage = Checksum(
            .sha256, digest: MessageDigest.hash(data: Array("\(url.server)\0\(url.path)".utf8), with: .sha256)
        ).digits
        return TemplateShelf(
            files: files, downloads: DownloadPlace(downloads, prefix: String(storage.prefix(16)), pool: pool),
            pool: pool, logger: logger)
    }

    /// Builds the template's directory under a hidden name and publishes it by rename. What a killed registration left
    /// behind goes with the next one of the same key, or with its deletion.
    public func register(_ registration: TemplateRegistration, progress: ProgressHandler?) async throws -> Template {
        try await shelf().register(registration, progress: progress)
    }

    /// Reads the properties of every `<account>/<id>` directory.
    public func list() async throws -> TemplateListing { try await shelf().list() }

    /// Reads the template's properties.
    public func template(_ key: TemplateKey) async throws -> Template {
        try await shelf().read(key).template(key)
    }

    /// The template's tar, read from the server piece by piece.
    public func contents(of key: TemplateKey) async throws -> any TreeOrigin { try await shelf().contents(of: key) }

    /// The template's disk image.
    public func image(of key: TemplateKey) async throws -> DiskImage { try await shelf().image(of: key) }

    /// Reads the file to its end and compares its bytes, and the tree of a tar, with what was registered.
    public func verify(_ key: TemplateKey, progress: ProgressHandler?) async throws {
        try await shelf().verify(key, progress: progress)
    }

    /// Takes the template's directory away by rename, then removes it.
    public func delete(_ key: TemplateKey) async throws { try await shelf().delete(key) }
}
