// SPDX-License-Identifier: Apache-2.0

public import FileTree
public import LXCCore

/// A directory on an NFS server, as an origin and as a destination, without any mount.
///
/// As a destination the directory must not exist; its parent must. The tree is built beside it under a hidden name and
/// renamed when complete. What NFSv3 cannot hold is a loss: extended attributes with ACLs and capabilities, and times
/// before 1970 or after 2106; some servers hold no times of symbolic links.
public struct NFSTree: TreeOrigin, TreeDestination {
    private enum Place: Sendable {
        case url(NFSURL, NFSClientOptions)
        case client(NFSClient, TreePath)
    }

    private let place: Place

    /// Creates an NFS tree from a URL; every reading and writing makes a connection of its own.
    public init(_ url: NFSURL, options: NFSClientOptions = NFSClientOptions()) { place = .url(url, options) }

    /// Creates an NFS tree from a path below the directory of a client, whose connection is used.
    public init(_ path: TreePath, in client: NFSClient) { place = .client(client, path) }

    /// The URL without its parameters.
    public var description: String {
        switch place {
        case .url(let url, _): url.place
        case .client(let client, let path): path.isRoot ? client.url.place : "\(client.url.place)/\(path)"
        }
    }

    /// Opens the directory for reading.
    public func openForReading(_ opening: TreeOpening) throws -> any TreeSource {
        let (client, root) = try openDirectory(opening.cancellation)
        return NFSTreeSource(client, root, opening.limits, opening.cancellation)
    }

    /// Starts a new directory.
    public func openForWriting(_ opening: TreeOpening) throws -> any TreeSink {
        let strategy = opening.options.strategy
        guard strategy == .auto || strategy == .copy else {
            throw LXCError(.unsupported, "\(self) is built entry by entry; use the strategy auto or copy")
        }
        let location = try openLocation(opening.cancellation)
        return try NFSTreeSink(NFSStagedDirectory(location, opening.cancellation), opening)
    }

    /// Refuses to be inside of `origin`, a directory of the same server.
    public func refuseInside(_ origin: any TreeOrigin) throws {
        guard let origin = origin as? NFSTree else { return }
        let (mine, theirs) = (identity, origin.identity)
        guard mine.server == theirs.server, mine.path.starts(with: theirs.path) else { return }
        throw LXCError(.invalidArgument, "\(self) is inside \(origin); choose another place")
    }

    /// Removes the directory and everything below, never following a symbolic link and never crossing into another file
    /// system. Succeeds if it is not there.
    ///
    /// - Parameters:
    ///   - onlyDirectory: whether something else of that name is refused (`invalidArgument`).
    ///   - pool: the threads that may block.
    /// - Throws: `LXCError` `inUse` when another file system is mounted inside, `permissionDenied`, `io`, and as
    ///   ``NFSClient``; `CancellationError`.
    public func remove(onlyDirectory: Bool = false, pool: BlockingPool = .shared) async throws {
        try await pool.run { cancellation in
            do {
                let location = try openLocation(cancellation)
                let remover = NFSRemover(location.client, cancellation)
                try remover.remove(location.name, in: location.parent, onlyDirectory: onlyDirectory)
            } catch let error as LXCError where error.code == .notFound {
                // Not even the directory above is there.
            }
        }
    }

    /// Checks that a container can be started from the tree, as `LocalTree.requireSafeRoot` does.
    ///
    /// - Throws: `LXCError` `unsafe` naming the entry, `notFound`, and as ``NFSClient``.
    public func requireSafeRoot(pool: BlockingPool = .shared) async throws {
        try await pool.run { cancellation in
            let (client, root) = try openDirectory(cancellation)
            try SafeRoot.check(NFSRootView(client, root.handle, cancellation))
        }
    }

    // MARK: Places

    private var identity: (server: String, path: [Substring]) {
        switch place {
        case .url(let url, _): (url.server, url.path.split(separator: "/"))
        case .client(let client, let path):
            (
                client.url.server,
                client.url.path.split(separator: "/")
                    + String(decoding: path.bytes, as: UTF8.self).split(separator: "/")
            )
        }
    }

    private func openDirectory(_ cancellation: Cancellation) throws -> (NFSClient, NFSObject) {
        switch place {
        case .url(let url, let options):
            let client = try NFSClient.open(url, options, cancellation)
            return (client, NFSObject(client.root, client.rootAttributes))
        case .client(let client, let path): return (client, try client.object(at: path, cancellation))
        }
    }

    private func openLocation(_ cancellation: Cancellation) throws -> NFSLocation {
        switch place {
        case .url(let url, let options):
            let (above, name) = try url.splitName()
            let client = try NFSClient.open(above, options, cancellation)
            return NFSLocation(client: client, parent: client.root, name: name)
        case .client(let client, let path): return try client.location(of: path, cancellation)
        }
    }
}

/// A location: the parent directory, and the name in it.
struct NFSLocation: Sendable {
    let client: NFSClient
    let parent: NFSHandle
    let name: [UInt8]

    /// For messages.
    var description: String { "\(client.url.place)/\(parent.pathOf(name))" }
}

extension NFSClient {
    /// The location of a path below ``root``, on a thread that may block.
    func location(of path: TreePath, _ cancellation: Cancellation?) throws -> NFSLocation {
        guard let above = path.parent else {
            throw LXCError(.invalidArgument, "\(url.place) does not end in a name")
        }
        let parent = try object(at: above, cancellation)
        return NFSLocation(client: self, parent: parent.handle, name: Array(path.name))
    }

    /// The object at a path below ``root``, on a thread that may block.
    func object(at path: TreePath, _ cancellation: Cancellation?) throws -> NFSObject {
        var found = NFSObject(root, rootAttributes)
        for name in path.components { found = try lookUp(Array(name), in: found.handle, cancellation) }
        return found
    }

    /// The attributes of an object, on a thread that may block.
    func attributes(of handle: NFSHandle, _ cancellation: Cancellation?) throws -> NFSAttributes {
        switch wait(for: .getAttributes(handle), cancellation: cancellation) {
        case .success(.done(let attributes?)): return attributes
        case .success: throw Self.senseless("GETATTR")
        case .failure(let failure): throw failure.error("look at \"\(handle)\" on \(url.place)")
        }
    }

    /// Looks up a name, on a thread that may block.
    func lookUp(_ name: [UInt8], in directory: NFSHandle, _ cancellation: Cancellation?) throws -> NFSObject {
        let path = directory.pathOf(name)
        switch wait(for: .lookUp(name, in: directory), cancellation: cancellation) {
        case .success(.object(let bytes?, let attributes)):
            return NFSObject(NFSHandle(bytes: bytes, path: path), attributes)
        case .success: throw Self.senseless("LOOKUP")
        case .failure(let failure): throw failure.error("find \"\(path)\" on \(url.place)")
        }
    }
}
