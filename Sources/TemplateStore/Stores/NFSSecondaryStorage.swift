// SPDX-License-Identifier: Apache-2.0

import Glibc
public import LXCCore
public import Logging
public import NFSClient
import NFSStoreFiles

/// Secondary storage on an NFS server in CloudStack's layout, used without any mount: the data goes between this
/// process and the server, with many concurrent calls. The tar of a template is unpacked on a primary store on NFS
/// without a copy of it on this host.
///
/// Hosts exclude each other by files on the server that their holders renew. Register and delete through this type on
/// every host, or through ``LocalSecondaryStorage`` on a mount on every host; reading takes no locks.
///
/// An archive from a web server is downloaded to this host first, where an interrupted download waits to be resumed.
public struct NFSSecondaryStorage: ShelvedTemplateStore, DiskImageStore {
    /// The directory that holds `template/`.
    public let url: NFSURL
    /// The directory of downloads on this host: made if it is missing, and this user's alone.
    public let downloads: String

    private let connection: Connection
    private let pool: BlockingPool
    private let logger: Logger

    /// Creates an NFS secondary storage from a URL; the server is connected to when it is first needed.
    ///
    /// - Parameters:
    ///   - url: a directory that exists on the server when it is used.
    ///   - downloads: an absolute path on this host; nil for `/var/tmp/lxc-hypervisor-<user id>`.
    ///   - options: the client's options.
    ///   - pool: threads for what blocks. Downloads have threads of their own.
    ///   - logger: receives messages about the store's work, at `info`.
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

    /// The templates of the directory, over the connection all calls share.
    public var shelf: TemplateShelf {
        get async throws {
            TemplateShelf(
                in: NFSStoreFiles(try await connection.open(), pool: pool), named: "\(url.server)\0\(url.path)",
                downloads: downloads, threads: pool, logger: logger)
        }
    }
}
