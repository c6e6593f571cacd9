public import FileTree
import Foundation
import Glibc
public import LXCCore
public import Logging
import TarArchive

/// Secondary storage in a directory of this host, laid out as CloudStack does:
/// `<path>/template/tmpl/<account>/<id>/<uuid>.tar` beside `template.properties`.
public struct LocalSecondaryStorage: TemplateStore {
    /// The directory that holds `template/`.
    public let path: String

    private let pool: BlockingPool
    private let logger: Logger

    /// Takes a directory, which must exist when it is used.
    ///
    /// - Parameters:
    ///   - path: the directory that holds, or will hold, `template/`.
    ///   - pool: threads for file operations.
    ///   - logger: takes what is done, at `info`.
    public init(
        path: String, pool: BlockingPool = .shared, logger: Logger = Logger(label: "lxc-hypervisor.templates")
    ) {
        self.path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
        self.pool = pool
        self.logger = logger
    }

    private var root: String { "\(path)/template/tmpl" }

    private func account(_ key: TemplateKey) -> String { "\(root)/\(key.account)" }

    private func directory(_ key: TemplateKey) -> String { "\(account(key))/\(key.id)" }

    /// Work in progress on a template, beside its directory: `.<id>.<random>`.
    private func hidden(_ key: TemplateKey) -> LocalTree {
        LocalTree("\(account(key))/.\(key.id).\(RandomName.make())")
    }

    /// Runs `body` as the only one, of all programs and hosts, that registers or deletes the template, after removing
    /// what killed ones left behind.
    private func alone<Value>(on key: TemplateKey, _ body: () async throws -> Value) async throws -> Value {
        let lock = ".\(key.id).lock"
        return try await FileLock.hold("\(account(key))/\(lock)", pool: pool) {
            let leftovers = try await pool.run { [self] _ in
                try DurableFile.list(account(key)).filter { $0.hasPrefix(".\(key.id).") && $0 != lock }
            }
            for name in leftovers { try await LocalTree("\(account(key))/\(name)").remove(pool: pool) }
            return try await body()
        }
    }

    // MARK: Registration

    /// Builds the template's directory under a hidden name and publishes it by rename. What a killed registration left
    /// behind goes with the next one of the same key, or with its deletion.
    public func register(_ registration: TemplateRegistration, progress: ProgressHandler?) async throws -> Template {
        try Self.check(registration)
        try await pool.run { [self] cancellation in
            guard !DurableFile.isDirectory(directory(registration.key)) else { throw taken(registration.key) }
            try verify(registration.checksum, ofFile: registration.source, cancellation)
            try prepare(account(registration.key))
        }
        return try await alone(on: registration.key) { try await build(registration, progress) }
    }

    private func build(_ registration: TemplateRegistration, _ progress: ProgressHandler?) async throws -> Template {
        let key = registration.key
        let staged = hidden(key)
        do {
            try await pool.run { [self] _ in
                // Another may have been first while this one waited.
                guard !DurableFile.isDirectory(directory(key)) else { throw taken(key) }
                try DurableFile.makeDirectory(staged.path, mode: 0o755)
            }
            let template = try await fill(staged.path, registration, progress)
            try await pool.run { [self] cancellation in
                try cancellation.check()
                do {
                    try DurableFile.publish(staged.path, as: directory(key))
                } catch let error as LXCError where error.code == .alreadyExists {
                    throw taken(key)
                }
            }
            logger.info("registered template", metadata: ["template": "\(key)", "name": "\(registration.name)"])
            return template
        } catch {
            // In a task of its own: the caller's cancellation must not keep the leftovers from being removed.
            await Task { [pool] in try? await staged.remove(pool: pool) }.value
            throw error
        }
    }

    private static func check(_ registration: TemplateRegistration) throws {
        guard !registration.name.isEmpty, !registration.name.contains("\0") else {
            throw LXCError(.invalidArgument, "template \(registration.key) needs a name")
        }
    }

    private func taken(_ key: TemplateKey) -> LXCError {
        LXCError(.alreadyExists, "there is a template \(key) in \(path) already; delete it first or take another id")
    }

    private func verify(_ checksum: Checksum?, ofFile file: String, _ cancellation: Cancellation) throws {
        guard access(file, R_OK) == 0 else {
            throw LXCError.lastSystemCall("access", "read the archive \(file.escapedForDisplay)")
        }
        guard let checksum else { return }
        let found = try Checksum.compute(checksum.algorithm, ofFile: file, cancellation)
        guard found == checksum else {
            throw LXCError(
                .corrupt, "\(file.escapedForDisplay) has the checksum \(found), not the given \(checksum)")
        }
    }

    private func prepare(_ account: String) throws {
        guard DurableFile.isDirectory(path) else {
            throw LXCError(
                .notFound, "there is no directory \(path.escapedForDisplay) for secondary storage; make or mount it")
        }
        for parent in ["\(path)/template", root, account] {
            try DurableFile.makeDirectory(parent, mode: 0o755)
            try DurableFile.syncDirectory(of: parent)
        }
    }

    /// Writes the plain tar and its properties, and reads the tar to its end as proof that it is one.
    private func fill(
        _ staged: String, _ registration: TemplateRegistration, _ progress: ProgressHandler?
    ) async throws -> Template {
        let milliseconds = Int64(Date().timeIntervalSince1970 * 1000)
        let fileName = "\(UUID(javaNameBytes: "\(registration.name)\(milliseconds)".utf8).uuidString.lowercased()).tar"
        let tar = "\(staged)/\(fileName)"
        let size = try await pool.run { cancellation in
            try ArchiveDecompression.run(
                from: registration.source, to: tar, maximumBytes: registration.maximumSize.bytes,
                cancellation: cancellation, progress: progress)
        }
        var options = TreeCopyOptions()
        options.limits = registration.limits
        options.requiresSafeRoot = true
        let summary = try await TreeCopy.examine(TarArchive(tar), options: options, pool: pool)
        let template = Template(
            key: registration.key, name: registration.name,
            description: registration.description.isEmpty ? registration.name : registration.description,
            fileName: fileName, size: ByteCount(size), isPublic: registration.isPublic, digest: summary.digest)
        try await pool.run { _ in
            let properties = TemplateProperties(template, checksum: registration.checksum)
            try DurableFile.write(properties.bytes, to: "\(staged)/\(TemplateProperties.fileName)", mode: 0o644)
        }
        return template
    }

    // MARK: Reading

    /// Reads the properties of every `<account>/<id>` directory.
    public func list() async throws -> TemplateListing {
        try await pool.run { [self] _ in
            var listing = TemplateListing()
            for account in try Self.numbers(in: root) {
                for id in try Self.numbers(in: "\(root)/\(account)") {
                    let key = TemplateKey(account: account, id: id)
                    do {
                        listing.templates.append(try read(key))
                    } catch let error as LXCError {
                        listing.broken.append(.init(key: key, reason: error.message))
                    }
                }
            }
            listing.templates.sort { $0.key < $1.key }
            listing.broken.sort { $0.key < $1.key }
            return listing
        }
    }

    /// The directories whose names are ids as CloudStack writes them; anything else is not ours.
    private static func numbers(in directory: String) throws -> [UInt64] {
        try DurableFile.list(directory).compactMap { name in
            guard let number = UInt64(name), String(number) == name,
                DurableFile.isDirectory("\(directory)/\(name)")
            else { return nil }
            return number
        }
    }

    /// Reads the template's properties.
    public func template(_ key: TemplateKey) async throws -> Template {
        try await pool.run { [self] _ in try read(key) }
    }

    /// The template's tar.
    public func contents(of key: TemplateKey) async throws -> any TreeOrigin {
        try await TarArchive("\(directory(key))/\(template(key).fileName)")
    }

    private func read(_ key: TemplateKey) throws -> Template {
        // As in the listing, a link to a directory is no template: it could lead anywhere.
        guard DurableFile.isDirectory(account(key)), DurableFile.isDirectory(directory(key)) else {
            throw LXCError(.notFound, "there is no template \(key) in \(path)")
        }
        let file = "\(directory(key))/\(TemplateProperties.fileName)"
        guard let bytes = try DurableFile.read(file) else {
            throw LXCError(.corrupt, "template \(key) has no \(TemplateProperties.fileName)")
        }
        let template = try TemplateProperties(parsing: bytes).template(key)
        var status = stat()
        guard lstat("\(directory(key))/\(template.fileName)", &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw LXCError(.corrupt, "template \(key) has no file \(template.fileName.escapedForDisplay)")
        }
        guard UInt64(status.st_size) == template.size.bytes else {
            throw LXCError(
                .corrupt,
                "template \(key) has \(status.st_size) bytes; its properties say \(template.size.bytes)")
        }
        return template
    }

    // MARK: Upkeep

    /// Reads the tar to its end and compares its tree with the digest taken when it was registered.
    public func verify(_ key: TemplateKey, progress: ProgressHandler?) async throws {
        let template = try await template(key)
        let summary = try await TreeCopy.examine(try await contents(of: key), pool: pool, progress: progress)
        guard template.digest == nil || template.digest == summary.digest else {
            throw LXCError(
                .corrupt,
                "template \(key) has the tree digest \(summary.digest?.description ?? "-"), not the registered "
                    + (template.digest?.description ?? "-"))
        }
    }

    /// Takes the template's directory away by rename, then removes it.
    public func delete(_ key: TemplateKey) async throws {
        guard try await pool.run({ [self] _ in DurableFile.isDirectory(account(key)) }) else { return }
        try await alone(on: key) {
            let discarded = hidden(key)
            try await pool.run { [self] _ in
                guard rename(directory(key), discarded.path) == 0 || errno == ENOENT else {
                    throw LXCError.lastSystemCall("rename", "delete template \(key)")
                }
                try DurableFile.syncDirectory(of: directory(key))
            }
            try await discarded.remove(pool: pool)
        }
    }
}
