// SPDX-License-Identifier: Apache-2.0

public import LXCCore
public import Logging
public import NFSClient
public import PrimaryStore
public import TemplateStore

extension LXCHypervisor {
    /// Where a primary store or secondary storage is, as operators write it: a directory of this host, or
    /// `nfs://server/export[/path]`.
    public enum StoreLocation: Hashable, Sendable, CustomStringConvertible {
        /// A directory of this host.
        case directory(String)
        /// A directory of an NFS server.
        case nfs(NFSURL)

        /// Reads a location; nothing is opened.
        ///
        /// - Throws: `LXCError` `invalidArgument` when it is neither.
        public init(_ text: String) throws {
            guard !text.isEmpty, !text.utf8.contains(0) else {
                throw LXCError(.invalidArgument, "the location of a store must not be empty")
            }
            self = try NFSURL(recognizing: text).map(Self.nfs) ?? .directory(text)
        }

        /// As it was written.
        public var description: String {
            switch self {
            case .directory(let path): path
            case .nfs(let url): url.description
            }
        }

        /// Opens a primary store. A directory that is the mount of a pool used by URL opens as that.
        ///
        /// - Parameters:
        ///   - id: the pool's uuid; nil takes the one the place has.
        ///   - mounter: makes the host's mount of a pool on NFS.
        ///   - logger: takes what is done.
        /// - Returns: the store.
        /// - Throws: what `SharedMountPointStore` and `NFSStore` name: `LXCError` `notFound` for a place that holds no
        ///   pool.
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

        /// Makes a primary store at a place that is there.
        ///
        /// - Parameters:
        ///   - id: the pool's uuid; nil takes a new one.
        ///   - logger: takes what is done.
        /// - Returns: the store.
        /// - Throws: what `SharedMountPointStore` and `NFSStore` name: `LXCError` `alreadyExists` where there is
        ///   another pool.
        public func createPrimaryStore(id: PoolID? = nil, logger: Logger) async throws -> any PrimaryStore {
            switch self {
            case .nfs(let url): try await NFSStore.create(at: url, id: id, logger: logger)
            case .directory(let path): try await SharedMountPointStore.create(at: path, id: id, logger: logger)
            }
        }

        /// Whether nobody keeps anything at this place, so that a primary store can begin there.
        ///
        /// - Throws: what `SharedMountPointStore` and `NFSStore` name.
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
