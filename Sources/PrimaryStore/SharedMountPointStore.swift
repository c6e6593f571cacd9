public import FileTree
import Foundation
import Glibc
public import LXCCore
public import Logging
import TarArchive

/// A primary store in a directory that is there already: a local disk, or a file system mounted on every host
/// (CloudStack's SharedMountPoint and Filesystem pools).
///
/// `<path>/<uuid>/` are the templates and volumes; `<path>/.lxc/` holds what this package knows of them. Hosts exclude
/// each other by locks of the file system (fcntl), which cluster file systems and NFS carry between them.
public struct SharedMountPointStore: PrimaryStore {
    /// The identity kept in the directory.
    public let id: PoolID
    /// The store's directory.
    public var path: String { layout.root }

    let layout: StoreLayout
    let pool: BlockingPool
    private let logger: Logger

    /// Opens the store in a directory, giving it its identity at the first opening.
    ///
    /// - Parameters:
    ///   - path: a directory that exists; nothing is mounted.
    ///   - id: the pool's uuid; nil takes the one the directory has, or a new one.
    ///   - pool: threads for file operations.
    ///   - logger: takes what is done, at `debug` and `info`.
    /// - Throws: `LXCError` `notFound` when the directory is missing, `invalidArgument` when it belongs to a
    ///   pool of another id, `unsafe` when others come to its control directory, `permissionDenied`, `io`.
    public init(
        path: String, id: PoolID? = nil, pool: BlockingPool = .shared,
        logger: Logger = Logger(label: "lxc-hypervisor.store")
    ) async throws {
        // Absolute: libvirt is told of directories below it, and works in another directory.
        let root = URL(filePath: path).standardized.path(percentEncoded: false)
        let layout = StoreLayout(root: root.count > 1 && root.hasSuffix("/") ? String(root.dropLast()) : root)
        self.id = try await pool.run { _ in try Self.prepare(layout, id: id) }
        self.layout = layout
        self.pool = pool
        self.logger = logger
    }

    private static func prepare(_ layout: StoreLayout, id: PoolID?) throws -> PoolID {
        guard DurableFile.isDirectory(layout.root) else {
            throw LXCError(
                .notFound,
                "there is no directory \(layout.root.escapedForDisplay) for a primary store; make or mount it")
        }
        for directory in layout.directories {
            try DurableFile.makeDirectory(directory, mode: 0o700)
            try requirePrivate(directory)
        }
        try DurableFile.syncDirectory(of: layout.control)
        if try ControlFile.read(PoolRecord.self, layout.pool) == nil {
            let staged = layout.pool + "." + RandomName.make()
            let record = try ControlFile.encode(PoolRecord(id: id ?? .random()))
            defer { unlink(staged) }
            try DurableFile.writeNew(record, to: staged, mode: 0o600)
            do {
                try DurableFile.publish(staged, as: layout.pool)
            } catch let error as LXCError where error.code == .alreadyExists || error.code == .notFound {
                // Another process gave the pool its identity first, and may have collected this one's as garbage.
            }
        }
        guard let found = try ControlFile.read(PoolRecord.self, layout.pool)?.id else {
            throw LXCError(.io, "\(layout.pool) vanished while the store was opened")
        }
        guard id == nil || id == found else {
            throw LXCError(.invalidArgument, "\(layout.root) is the pool \(found), not the one asked for")
        }
        return found
    }

    /// Half-made roots hold setuid programs, and records and leases are believed: nobody else may come to them.
    private static func requirePrivate(_ directory: String) throws {
        var status = stat()
        guard lstat(directory, &status) == 0 else {
            throw LXCError.lastSystemCall("lstat", "look at \(directory.escapedForDisplay)")
        }
        let isOurs = status.st_uid == geteuid() || status.st_uid == 0
        guard status.st_mode & S_IFMT == S_IFDIR, isOurs, status.st_mode & 0o077 == 0 else {
            throw LXCError(
                .unsafe,
                "\(directory.escapedForDisplay) must be a directory, no link, that belongs to this user alone; look "
                    + "who made it, then: chmod 700, chown")
        }
    }

    /// The file system's size and what of it is free.
    public func capacity() async throws -> StoreCapacity {
        try await pool.run { [layout] _ in
            var status = statvfs()
            guard statvfs(layout.root, &status) == 0 else {
                throw LXCError.lastSystemCall("statvfs", "measure \(layout.root)")
            }
            let unit = UInt64(status.f_frsize)
            return StoreCapacity(
                total: ByteCount(UInt64(status.f_blocks) * unit), available: ByteCount(UInt64(status.f_bavail) * unit))
        }
    }

    /// The directories named by a UUID, and what is known of them.
    public func contents() async throws -> StoreContents {
        try await pool.run { [layout] _ in
            var contents = StoreContents()
            for name in try DurableFile.list(layout.root) {
                guard let id = try? VolumeID(parsing: name), id.description == name,
                    DurableFile.isDirectory(layout.object(id))
                else { continue }
                let template = TemplateID(id.uuid)
                let record = try ControlFile.read(ObjectRecord.self, layout.record(id))
                // A deletion takes the directory first: what is gone by now says nothing by having no record.
                guard DurableFile.isDirectory(layout.object(id)) else { continue }
                switch record?.kind {
                case .template: contents.templates.append(record?.template(template) ?? StoredTemplate(id: template))
                case .volume, nil: contents.volumes.append(record?.volume(id) ?? StoredVolume(id: id))
                }
            }
            return contents
        }
    }

    // MARK: Templates

    /// Unpacks a template in staging and publishes it by rename; the second caller waits and gets the first's.
    public func installTemplate(
        _ id: TemplateID, from origin: any TreeOrigin, expecting expected: TreeDigest?, limits: TreeLimits,
        progress: ProgressHandler?
    ) async throws -> StoredTemplate {
        try await FileLock.hold(layout.lock(id), pool: pool) {
            if let installed = try await installed(id) {
                try Self.check(installed.digest, against: expected, of: "the installed template \(id)")
                return installed
            }
            var options = TreeCopyOptions()
            options.limits = limits
            options.requiresSafeRoot = true
            let record = try await build(id, from: origin, options: options, progress: progress) { summary in
                try Self.check(summary.digest, against: expected, of: origin.description)
                return ObjectRecord(.template, summary)
            }
            logger.info("installed template", metadata: ["pool": "\(self.id)", "template": "\(id)"])
            return record.template(id)
        }
    }

    /// The template of that id, or nil; a directory without a record is adopted.
    private func installed(_ id: TemplateID) async throws -> StoredTemplate? {
        try await pool.run { [layout] _ in
            guard DurableFile.isDirectory(layout.object(id)) else { return nil }
            guard let record = try ControlFile.read(ObjectRecord.self, layout.record(id)) else {
                return StoredTemplate(id: id)
            }
            guard record.kind == .template else {
                throw LXCError(.alreadyExists, "\(id) is a volume of pool \(layout.root), not a template")
            }
            return record.template(id)
        }
    }

    private static func check(_ digest: TreeDigest?, against expected: TreeDigest?, of what: String) throws {
        guard let expected, let digest, digest != expected else { return }
        throw LXCError(.corrupt, "\(what) has the tree digest \(digest), not the expected \(expected)")
    }

    /// Takes a template away by rename, then removes it.
    public func deleteTemplate(_ id: TemplateID) async throws {
        try await FileLock.hold(layout.lock(id), pool: pool) {
            guard try await installed(id) != nil else { return }
            let dependents = try await contents().volumes.filter { $0.template == id }
            guard dependents.isEmpty else {
                throw LXCError(
                    .inUse,
                    "template \(id) is the base of \(dependents.count) volumes, of \(dependents[0].id) among "
                        + "them; delete those first")
            }
            try await discard(id)
            logger.info("deleted template", metadata: ["pool": "\(self.id)", "template": "\(id)"])
        }
    }

    // MARK: Volumes

    /// Clones a template in staging and publishes the volume by rename.
    public func createVolume(
        _ id: VolumeID, from template: TemplateID, idMap: IDMap?, progress: ProgressHandler?
    ) async throws -> StoredVolume {
        try await FileLock.hold(layout.lock(id), pool: pool) {
            guard try await !isThere(id) else {
                throw LXCError(.alreadyExists, "there is a directory \(id) in pool \(layout.root) already")
            }
            try await requireInstalled(template)
            // Shared with other clones; who deletes the template waits for all of them, and then sees their volumes.
            let record = try await FileLock.hold(layout.lock(template), .shared, pool: pool) {
                try await requireInstalled(template)
                var options = TreeCopyOptions()
                options.destinationMap = idMap
                options.requiresSafeRoot = true
                let base = try await base(of: template)
                return try await build(id, from: base, options: options, progress: progress) { summary in
                    ObjectRecord(.volume, summary, template: template, idMap: idMap)
                }
            }
            logger.info(
                "created volume", metadata: ["pool": "\(self.id)", "volume": "\(id)", "template": "\(template)"])
            return record.volume(id)
        }
    }

    private func requireInstalled(_ template: TemplateID) async throws {
        guard try await installed(template) != nil else {
            throw LXCError(.notFound, "template \(template) is not installed in pool \(layout.root)")
        }
    }

    /// What a template's directory is cloned from. CloudStack 4.5 and later leave the archive itself in it, packed:
    /// a directory without a record that holds one `.tar` and nothing else.
    private func base(of template: TemplateID) async throws -> any TreeOrigin {
        try await pool.run { [layout] _ in
            let directory = layout.object(template)
            let names = try DurableFile.list(directory)
            let isRecorded = try DurableFile.read(layout.record(template)) != nil
            if !isRecorded, names.count == 1, let name = names.first, name.lowercased().hasSuffix(".tar") {
                return TarArchive("\(directory)/\(name)")
            }
            return LocalTree(directory)
        }
    }

    func isThere(_ id: VolumeID) async throws -> Bool {
        try await pool.run { [layout] _ in DurableFile.isDirectory(layout.object(id)) }
    }

    /// Takes a volume away by rename, then removes it.
    public func deleteVolume(_ id: VolumeID) async throws {
        try await FileLock.hold(layout.lock(id), pool: pool) {
            let (record, lease) = try await pool.run { [layout] _ in
                try (
                    ControlFile.read(ObjectRecord.self, layout.record(id)),
                    ControlFile.read(VolumeLease.self, layout.lease(id))
                )
            }
            guard try await isThere(id) else { return }
            guard record?.kind != .template else {
                throw LXCError(.invalidArgument, "\(id) is a template of pool \(layout.root), not a volume")
            }
            if let lease { throw lease.conflict }
            try await discard(id)
            logger.info("deleted volume", metadata: ["pool": "\(self.id)", "volume": "\(id)"])
        }
    }

    /// The volume's directory itself, checked to be one a container can be started from.
    public func hostPath(of volume: VolumeID) async throws -> String {
        try await requireVolume(volume)
        let path = layout.object(volume)
        try await LocalTree(path).requireSafeRoot(pool: pool)
        try await pool.run { [layout] _ in
            let isMapped = try ControlFile.read(ObjectRecord.self, layout.record(volume))?.idMap != nil
            if isMapped { try Self.requirePassage(to: path) }
        }
        return path
    }

    /// The root of an unprivileged container is nobody on the host: it comes to its files only where everybody may pass.
    private static func requirePassage(to path: String) throws {
        var directory = path[...]
        while let slash = directory.lastIndex(of: "/"), slash > directory.startIndex {
            directory = directory[..<slash]
            var status = stat()
            guard stat(String(directory), &status) == 0 else {
                throw LXCError.lastSystemCall("stat", "look at \(directory)")
            }
            guard status.st_mode & 0o001 != 0 else {
                throw LXCError(
                    .permissionDenied,
                    "an unprivileged container cannot come to its root through \(directory); chmod o+x that directory")
            }
        }
    }

    func requireVolume(_ volume: VolumeID) async throws {
        let isVolume = try await pool.run { [layout] _ in
            try DurableFile.isDirectory(layout.object(volume))
                && ControlFile.read(ObjectRecord.self, layout.record(volume))?.kind != .template
        }
        guard isVolume else {
            throw LXCError(.notFound, "there is no volume \(volume) in pool \(layout.root)")
        }
    }

    // MARK: Building and discarding, under the object's lock

    /// Builds a tree in staging and publishes it by rename: the record first, so that a directory that is there is
    /// known for what it is; a record without a directory is garbage.
    private func build(
        _ id: Identifier<some Any>, from origin: any TreeOrigin, options: TreeCopyOptions, progress: ProgressHandler?,
        record: (TreeSummary) throws -> ObjectRecord
    ) async throws -> ObjectRecord {
        let staged = LocalTree(layout.staged(id))
        let summary = try await TreeCopy.run(
            from: origin, to: staged, options: options, pool: pool, progress: progress)
        do {
            let record = try record(summary)
            try await pool.run { [layout] cancellation in
                try cancellation.check()
                try DurableFile.write(ControlFile.encode(record), to: layout.record(id))
                do {
                    try DurableFile.publish(staged.path, as: layout.object(id))
                } catch {
                    // What has the name instead is not what the record says.
                    unlink(layout.record(id))
                    throw error
                }
            }
            return record
        } catch {
            // In a task of its own: the caller's cancellation must not keep the leftovers from being removed.
            await Task { [pool] in try? await staged.remove(pool: pool) }.value
            throw error
        }
    }

    /// Takes an object away at once, then removes it piece by piece where nobody sees it.
    private func discard(_ id: Identifier<some Any>) async throws {
        let trashed = LocalTree(layout.trashed(id))
        try await pool.run { [layout] _ in
            guard rename(layout.object(id), trashed.path) == 0 else {
                throw LXCError.lastSystemCall("rename", "delete \(layout.object(id))")
            }
            try DurableFile.syncDirectory(of: layout.object(id))
            unlink(layout.record(id))
        }
        try await trashed.remove(pool: pool)
    }
}

/// What `.lxc/pool.json` says.
private struct PoolRecord: Codable {
    var formatVersion = ObjectRecord.currentVersion
    var id: PoolID

    init(id: PoolID) { self.id = id }
}
