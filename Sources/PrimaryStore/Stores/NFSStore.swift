// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
public import LXCCore
public import LinuxSystem
public import Logging
public import NFSClient
import NFSStoreFiles
import StoreFiles

/// A primary store on an NFS server (CloudStack's NetworkFilesystem pools), used without any mount: the data goes
/// between this process and the server, with many concurrent calls.
///
/// A container needs the kernel's mount of the same export. ``hostPath(of:)`` asks its ``HostMounter`` for it, and
/// checks that the mounted file system is this pool before it returns a directory in it.
///
/// Hosts exclude each other by files on the server that their holders renew. Use a pool through this type on every
/// host, or through `SharedMountPointStore` on a mount of it on every host; each refuses pools made by the other.
public struct NFSStore: PooledStore {
    /// The location of the store.
    public let url: NFSURL

    /// The pool in the directory.
    public let pool: Pool
    private let mounter: any HostMounter
    /// The time limit for the host's mount to answer.
    private static let patience = Duration.seconds(10)

    /// Connects to the server and opens the store in the URL's directory. A directory without a store stays unchanged.
    ///
    /// - Parameters:
    ///   - url: a directory on the server.
    ///   - id: the pool's uuid; nil accepts any.
    ///   - mounter: makes the host's mount when a container needs it.
    ///   - options: the client's options.
    ///   - threads: for what blocks.
    ///   - logger: receives messages about the store's work, at `debug` and `info`.
    /// - Throws: `LXCError` `unavailable` if the server cannot be reached, `notFound` without the directory or a pool
    ///   in it, `unsupported` for a URL of version 4, `invalidArgument` if the directory belongs to a pool of another
    ///   id, `unsafe` if others can enter its control directory, `io`.
    public init(
        _ url: NFSURL, id: PoolID? = nil, mounter: any HostMounter = ExistingMount(),
        options: NFSClientOptions = NFSClientOptions(), threads: BlockingPool = .shared,
        logger: Logger = Logger(label: "lxc-hypervisor.store")
    ) async throws {
        let files = try await Self.files(url, options, threads)
        self.init(
            url, mounter,
            try await Pool(opening: files, id: id, url: url.description, threads: threads, logger: logger))
    }

    private init(_ url: NFSURL, _ mounter: any HostMounter, _ pool: Pool) {
        self.url = url
        self.mounter = mounter
        self.pool = pool
    }

    /// Connects to the server, makes a store in the URL's directory, and opens it.
    ///
    /// - Parameters:
    ///   - url: a directory that exists on the server; its contents stay.
    ///   - id: the pool's uuid; nil for a new one.
    ///   - mounter: makes the host's mount when a container needs it.
    ///   - options: the client's options.
    ///   - threads: for what blocks.
    ///   - logger: receives messages about the store's work, at `debug` and `info`.
    /// - Returns: the store.
    /// - Throws: `LXCError` `alreadyExists` if there is another store; `permissionDenied` if the export is read-only or
    ///   maps the superuser to another user (`root_squash`); and as ``init(_:id:mounter:options:threads:logger:)``.
    public static func create(
        at url: NFSURL, id: PoolID? = nil, mounter: any HostMounter = ExistingMount(),
        options: NFSClientOptions = NFSClientOptions(), threads: BlockingPool = .shared,
        logger: Logger = Logger(label: "lxc-hypervisor.store")
    ) async throws -> NFSStore {
        let files = try await files(url, options, threads)
        return NFSStore(
            url, mounter,
            try await Pool.create(in: files, id: id, url: url.description, threads: threads, logger: logger))
    }

    /// Whether the URL's directory is unused.
    ///
    /// - Throws: `LXCError` `unavailable`, `notFound`, `permissionDenied`, `io`.
    public static func isEmpty(_ url: NFSURL) async throws -> Bool {
        try await Pool.isEmpty(files(url, NFSClientOptions(), .shared))
    }

    private static func files(
        _ url: NFSURL, _ options: NFSClientOptions, _ threads: BlockingPool
    ) async throws -> NFSStoreFiles {
        try NFSStoreFiles.requireLocks(url)
        return NFSStoreFiles(try await NFSClient.connect(to: url, options: options, pool: threads), pool: threads)
    }

    /// The URL of the pool whose export is mounted at a directory of this host; nil if there is none.
    ///
    /// - Throws: `LXCError` `unavailable` when the directory does not answer within 10 seconds, `io`.
    public static func url(ofPoolMountedAt path: String) async throws -> NFSURL? {
        let bytes = try await TimeLimited.run(patience, path.escapedForDisplay) {
            try DurableFile.read("\(path)/\(StoreLayout.pool)")
        }
        guard let bytes, let record = try? JSONDecoder().decode(PoolRecord.self, from: Data(bytes)) else { return nil }
        return try record.url.map { try NFSURL(parsing: $0) }
    }

    /// The volume's directory, or the disk's file, in the host's mount of the export, which is made where it is missing.
    ///
    /// - Throws: `LXCError` as `PrimaryStore` documents; `unavailable` if the mount is not this pool's, or does not
    ///   answer within 10 seconds.
    public func hostPath(of volume: VolumeID) async throws -> String {
        "\(try await mount(for: volume).directory)/\(StoreLayout.object(volume))"
    }

    /// Opens the volume's root in the mount, also where another process alone sees it.
    ///
    /// - Throws: `LXCError` as ``hostPath(of:)``.
    public func root(of volume: VolumeID) async throws -> ConfinedRoot {
        let mount = try await mount(for: volume)
        return try await TimeLimited.run(Self.patience, "the mount at \(mount.directory)") {
            try ConfinedRoot(
                path: "\(mount.view)/root\(mount.directory)/\(StoreLayout.object(volume))", shown: "volume \(volume)")
        }
    }

    private func mount(for volume: VolumeID) async throws -> HostMount {
        let record = try await pool.requireSafeVolume(volume)
        let mount = try await mounter.mount(export, for: id)
        try await require(mount)
        try await pool.requirePassage(
            to: volume, record, at: "\(mount.directory)/\(StoreLayout.object(volume))",
            seenFrom: mount.process == nil ? "" : "\(mount.view)/root")
        return mount
    }

    /// The host's mount of the export, made where it is missing and checked to be this pool.
    ///
    /// - Throws: `LXCError` `unavailable` if the mount is not this pool's, or does not answer within 10 seconds.
    public func hostDirectory() async throws -> String {
        let mount = try await mounter.mount(export, for: id)
        try await require(mount)
        return mount.directory
    }

    /// Undoes the mount ``hostPath(of:)`` made.
    ///
    /// - Throws: `LXCError` `inUse` or `hypervisor` while a container's root is in it.
    public func unmount() async throws { try await mounter.unmount(export, for: id) }

    private var export: NFSExport {
        NFSExport(
            server: url.server, path: url.path, version: String(url.version), port: url.port, mountPort: url.mountPort)
    }

    /// Nothing is ever started from, or written to, a directory in which the pool only should be.
    private func require(_ mount: HostMount) async throws {
        let (id, patience, directory) = (id, Self.patience, mount.directory)
        let problem = try await TimeLimited.run(patience, "the mount at \(directory)") { () -> String? in
            let table = try String(contentsOfFile: "\(mount.view)/mountinfo", encoding: .utf8)
            guard let mounted = MountedFileSystem(at: directory, table: table) else { return "nothing is mounted" }
            guard mounted.type == "nfs" || mounted.type == "nfs4" else {
                return "a file system of type \(mounted.type) is"
            }
            let record = try DurableFile.read("\(mount.view)/root\(directory)/\(StoreLayout.pool)").map {
                String(decoding: $0, as: UTF8.self)
            }
            guard record?.contains(id.description) == true else {
                return "\(mounted.source), another place, is mounted"
            }
            return nil
        }
        if let problem {
            throw LXCError(
                .unavailable,
                "\(problem) at \(directory.escapedForDisplay), where \(url.server.escapedForDisplay):"
                    + "\(url.path.escapedForDisplay) should be; unmount it, and mount the export or, where "
                    + "libvirt mounts it, run: virsh pool-destroy \(id)")
        }
    }
}
