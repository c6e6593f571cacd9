// SPDX-License-Identifier: Apache-2.0

public import LXCCore
public import Logging
public import NFSClient
public import PrimaryStore
public import TemplateStore

extension LXCHypervisor {
    /// The location of a primary store or secondary storage, as operators write it: a directory of this host, or
    /// `nfs://server/export[/path]`.
    public enum StoreLocation: Hashable, Sendable, CustomStringConvertible {
        /// A directory of this host.
        case directory(String)
        /// A directory on an NFS server.
        case nfs(NFSURL)

        /// Parses a location; does not open it.
        ///
        /// - Throws: `LXCError` `invalidArgument` if the text is neither.
        public init(_ text: String) throws {
            guard !text.isEmpty, !text.utf8.contains(0) else {
                throw LXCError(.invalidArgument, "the location of a store must not be empty")
            }
            self = try NFSURL(recognizing: text).map(Self.nfs) ?? .directory(text)
        }

        /// The location as it was written.
        public var description: String {
            switch self {
            case .directory(let path): path
            case .nfs(let url): url.description
            }
        }

        /// Opens a primary store. A directory that is the mount of a pool used by URL opens as that pool.
        ///
        /// - Parameters:
        ///   - id: the UUID of the pool; `nil` accepts the one at the location.
        ///   - mounter: mounts a pool on NFS on the host.
        ///   - logger: receives messages about what is done.
        /// - Returns: the store.
        /// - Throws: the errors of `SharedMountPointStore` and `NFSStore`: `LXCError` `notFound` if the location holds
        ///   no pool.
        public func primaryStore(
            id: PoolID? = nil, mounter: any HostMounter = ExistingMount(), logger: Logger
        ) async throws -> any PrimaryStore {
            switch self {
            case .nfs(let url): return try await NFSStore(url, id: id, mounter: mounter, logger: logger)
            case .directory(let path):
                if let url = try await NFSStore.url(ofPoolMountedAt: path) {
                    return try await NFSStore(url, id: id, mounter: mounter, logger: logger)
                }
                return try await SharedMountPointStore(path: path, id: id, logger: logger)
            }
        }

        /// Creates a primary store at an existing location.
        ///
        /// - Parameters:
        ///   - id: the UUID of the pool; `nil` generates one.
        ///   - logger: receives messages about what is done.
        /// - Returns: the store.
        /// - Throws: the errors of `SharedMountPointStore` and `NFSStore`: `LXCError` `alreadyExists` if there is
        ///   another pool.
        public func createPrimaryStore(id: PoolID? = nil, logger: Logger) async throws -> any PrimaryStore {
            switch self {
            case .nfs(let url): try await NFSStore.create(at: url, id: id, logger: logger)
            case .directory(let path): try await SharedMountPointStore.create(at: path, id: id, logger: logger)
            }
        }

        /// Whether the location is unused, so that a primary store can be created there.
        ///
        /// - Throws: the errors of `SharedMountPointStore` and `NFSStore`.
        public func isEmpty() async throws -> Bool {
            switch self {
            case .nfs(let url): try await NFSStore.isEmpty(url)
            case .directory(let path): try await SharedMountPointStore.isEmpty(path: path)
            }
        }

        /// Makes a primary store if nobody keeps anything at this place.
        ///
        /// - Parameters:
        ///   - id: the pool's UUID; `nil` uses a new one.
        ///   - logger: receives a message for each change.
        /// - Returns: whether this call made it; false if there is one, also if another program has made it meanwhile.
        /// - Throws: as ``isEmpty()`` and ``createPrimaryStore(id:logger:)``.
        public func createPrimaryStoreIfEmpty(id: PoolID? = nil, logger: Logger) async throws -> Bool {
            guard try await isEmpty() else { return false }
            do {
                _ = try await createPrimaryStore(id: id, logger: logger)
                return true
            } catch let error as LXCError where error.code == .alreadyExists {
                return false
            }
        }

        /// Secondary storage at this place; nothing is opened yet.
        public func secondaryStorage(logger: Logger) -> any TemplateStore {
            switch self {
            case .nfs(let url): NFSSecondaryStorage(url, logger: logger)
            case .directory(let path): LocalSecondaryStorage(path: path, logger: logger)
            }
        }
    }
}
