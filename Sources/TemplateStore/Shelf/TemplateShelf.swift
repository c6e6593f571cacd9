// SPDX-License-Identifier: Apache-2.0

import FileTree
public import LXCCore
import LinuxSystem
public import Logging
import OpenSSL
public import StoreFiles
import TarArchive

/// Templates on secondary storage in CloudStack's layout, `template/tmpl/<account>/<id>/`, in any place that offers
/// `StoreFiles`.
///
/// A shelf has all of a template store's logic; a store is a shelf with a place: see ``ShelvedTemplateStore``.
///
/// Work in progress on a template is beside its directory, under the lock `.<id>.lock`: `.<id>.<random>` while it is
/// built or removed, and in a directory of this host `.<id>.download`, the partial download of its archive. A killed
/// program's remains are removed by the next registration or deletion of the same template.
public struct TemplateShelf: Sendable {
    private static let root = "template/tmpl"

    let files: any StoreFiles
    let downloads: DownloadPlace
    /// Reads and examines on these threads.
    let pool: BlockingPool
    let logger: Logger

    /// Creates a shelf in a directory of this host; nothing is opened yet. Downloads stand beside the templates.
    ///
    /// - Parameters:
    ///   - directory: holds, or will hold, `template/`.
    ///   - threads: for file operations. Downloads have threads of their own.
    ///   - logger: receives messages about the store's work, at `info`.
    public init(
        in directory: LocalStoreFiles, threads: BlockingPool = .shared,
        logger: Logger = Logger(label: "lxc-hypervisor.templates")
    ) {
        files = directory
        downloads = DownloadPlace(in: directory, pool: threads)
        pool = threads
        self.logger = logger
    }

    /// Creates a shelf in any place; nothing is opened yet. Archives from web servers are downloaded to a directory of this
    /// host first, where an interrupted download waits to be resumed.
    ///
    /// - Parameters:
    ///   - files: the place that holds, or will hold, `template/`.
    ///   - name: distinguishes the place from others with downloads in the same directory.
    ///   - downloads: the absolute path of that directory: made where it is missing, and this user's alone.
    ///   - threads: for what blocks. Downloads have threads of their own.
    ///   - logger: receives messages about the store's work, at `info`.
    public init(
        in files: any StoreFiles, named name: String, downloads: String, threads: BlockingPool = .shared,
        logger: Logger = Logger(label: "lxc-hypervisor.templates")
    ) {
        let digest = Checksum(.sha256, digest: MessageDigest.hash(data: Array(name.utf8), with: .sha256))
        self.files = files
        self.downloads = DownloadPlace(downloads, prefix: String(digest.digits.prefix(16)), pool: threads)
        pool = threads
        self.logger = logger
    }

    /// The storage's name in messages.
    var shown: String { files.description.escapedForDisplay }

    static func account(_ key: TemplateKey) -> String { "\(root)/\(key.account)" }

    static func directory(_ key: TemplateKey) -> String { "\(account(key))/\(key.id)" }

    /// A name for work in progress.
    static func hidden(_ key: TemplateKey) -> String { "\(account(key))/.\(key.id).\(RandomName.make())" }

    /// Whether there is a template, or something in its place.
    func isTaken(_ key: TemplateKey) async throws -> Bool { try await files.kind(of: Self.directory(key)) != nil }

    /// Throws unless there is a storage.
    func check() async throws {
        guard try await files.isDirectory("") else {
            throw LXCError(.notFound, "there is no directory \(shown) for secondary storage; make or mount it")
        }
    }

    /// Runs `body` as the only one, of all programs and hosts, that registers or deletes the template, after removing
    /// what killed ones left behind.
    func alone<Value>(
        on key: TemplateKey, keepingDownload: Bool, _ body: (StoreLock) async throws -> Value
    ) async throws -> Value {
        let lock = "\(Self.account(key))/\(Self.lock(key))"
        return try await files.hold(lock) { try await alone($0, on: key, keepingDownload: keepingDownload, body) }
    }

    private static func lock(_ key: TemplateKey) -> String { ".\(key.id).lock" }

    private func alone<Value>(
        _ held: StoreLock, on key: TemplateKey, keepingDownload: Bool, _ body: (StoreLock) async throws -> Value
    ) async throws -> Value {
        // The lock's own files begin with its name.
        let leftovers = try await files.list(Self.account(key)).filter {
            $0.hasPrefix(".\(key.id).") && !$0.hasPrefix(Self.lock(key)) && $0 != downloads.name(key)
        }
        for name in leftovers { try await remove("\(Self.account(key))/\(name)") }
        if !keepingDownload { try await downloads.remove(key) }
        return try await body(held)
    }

    /// Removes a directory with its contents, or a file. Succeeds if it does not exist.
    func remove(_ path: String) async throws { try await files.tree(path).remove(pool: pool) }

    // MARK: Reading

    /// Reads the properties of every `<account>/<id>` directory.
    func list() async throws -> TemplateListing {
        var listing = TemplateListing()
        for account in try await numbers(in: Self.root) {
            for id in try await numbers(in: "\(Self.root)/\(account)") {
                let key = TemplateKey(account: account, id: id)
                do {
                    listing.templates.append(try await read(key).template(key))
                } catch let error as LXCError where error.code != .notFound {
                    listing.broken.append(.init(key: key, reason: error.message))
                } catch is LXCError {
                    // Deleted since its directory was listed.
                }
            }
        }
        listing.templates.sort { $0.key < $1.key }
        listing.broken.sort { $0.key < $1.key }
        return listing
    }

    /// The directories whose names are ids in CloudStack's form; others are foreign.
    private func numbers(in directory: String) async throws -> [UInt64] {
        var numbers: [UInt64] = []
        for name in try await files.list(directory) {
            guard let number = UInt64(name), String(number) == name,
                try await files.kind(of: "\(directory)/\(name)") == .directory
            else { continue }
            numbers.append(number)
        }
        return numbers
    }

    /// The template's properties, once its tar was seen to be of the size they tell.
    func read(_ key: TemplateKey) async throws -> TemplateProperties {
        // As in the listing, a link to a directory is no template: it could lead anywhere.
        guard try await files.kind(of: Self.account(key)) == .directory,
            try await files.kind(of: Self.directory(key)) == .directory
        else { throw LXCError(.notFound, "there is no template \(key) in \(shown)") }
        guard let bytes = try await files.read("\(Self.directory(key))/\(TemplateProperties.fileName)") else {
            throw LXCError(.corrupt, "template \(key) has no \(TemplateProperties.fileName)")
        }
        let properties = try Self.parse(bytes, key)
        let template = try properties.template(key)
        guard case .file(let size) = try await files.kind(of: "\(Self.directory(key))/\(template.fileName)") else {
            throw LXCError(.corrupt, "template \(key) has no file \(template.fileName.escapedForDisplay)")
        }
        guard size == template.size.bytes else {
            throw LXCError(
                .corrupt, "template \(key) has \(size) bytes; its properties say \(template.size.bytes)")
        }
        return properties
    }

    private static func parse(_ bytes: [UInt8], _ key: TemplateKey) throws -> TemplateProperties {
        do {
            return try TemplateProperties(parsing: bytes)
        } catch let error as LXCError {
            throw LXCError(
                error.code, "template \(key) has a bad \(TemplateProperties.fileName): \(error.message)",
                cause: error.cause)
        }
    }

    /// The template's tar.
    func contents(of key: TemplateKey) async throws -> any TreeOrigin {
        let template = try await read(key).template(key)
        guard template.format == .tar else {
            throw LXCError(
                .invalidArgument, "template \(key) is a disk image, of which system VMs are made and no containers")
        }
        return tree(in: "\(Self.directory(key))/\(template.fileName)")
    }

    /// The template's disk image.
    func image(of key: TemplateKey) async throws -> DiskImage {
        let properties = try await read(key)
        let template = try properties.template(key)
        guard template.format == .qcow2 else {
            throw LXCError(
                .invalidArgument, "template \(key) is a tar, of which containers are made and no system VMs")
        }
        return DiskImage(
            files.file("\(Self.directory(key))/\(template.fileName)"), sha256: try properties.fileChecksum(key)?.digits)
    }

    /// The tree in a tar.
    func tree(in path: String) -> any TreeOrigin { StoredArchive(files.file(path)) }

    // MARK: Upkeep

    /// Reads the file to its end and compares its bytes, and the tree of a tar, with what was registered.
    func verify(_ key: TemplateKey, progress: ProgressHandler?) async throws {
        let properties = try await read(key)
        try properties.checkConsistency(key)
        let template = try properties.template(key)
        if template.format == .qcow2 { return try await verifyImage(template, progress) }
        let tar = "\(Self.directory(key))/\(template.fileName)"
        let summary = try await TreeCopy.examine(tree(in: tar), pool: pool, progress: progress)
        guard template.digest == nil || template.digest == summary.digest else {
            throw LXCError(
                .corrupt,
                "template \(key) has the tree digest \(summary.digest?.description ?? "-"), not the registered "
                    + (template.digest?.description ?? "-"))
        }
        guard let registered = try properties.fileChecksum(key) else { return }
        let file = files.file(tar)
        let found = try await pool.run { try Checksum.compute(.sha256, of: file, $0) }
        guard found == registered else {
            throw LXCError(
                .corrupt, "the tar of template \(key) has the checksum \(found), not the registered \(registered)")
        }
    }

    private func verifyImage(_ template: Template, _ progress: ProgressHandler?) async throws {
        let image = try await image(of: template.key)
        try await pool.run { cancellation in
            guard let header = try QcowHeader.read(image.file) else {
                throw LXCError(.corrupt, "template \(template.key) is not a qcow2 image")
            }
            try header.requireBase("template \(template.key)")
            guard header.virtualSize == template.virtualSize.bytes else {
                throw LXCError(
                    .corrupt,
                    "template \(template.key) is a disk of \(header.virtualSize) bytes; its properties say "
                        + "\(template.virtualSize.bytes)")
            }
            try image.verify(cancellation, progress: progress)
        }
    }

    /// Moves the template's directory away by rename, then removes it.
    func delete(_ key: TemplateKey) async throws {
        guard try await files.kind(of: Self.account(key)) == .directory else { return }
        // Also on a full file system.
        try await files.holdToRemove("\(Self.account(key))/\(Self.lock(key))") { lock in
            try await alone(lock, on: key, keepingDownload: false) { lock in
                guard try await isTaken(key) else { return }
                let discarded = Self.hidden(key)
                try await files.tree(Self.directory(key)).requireRemovable(pool: pool)
                try await lock.confirm()
                try await files.publish(Self.directory(key), as: discarded)
                try await remove(discarded)
                logger.info("deleted template", metadata: ["template": "\(key)"])
            }
        }
    }
}
