// SPDX-License-Identifier: Apache-2.0

import FileTree
import FoundationEssentials
import LXCCore
import Logging
import OpenSSL
import StoreFiles
import TarArchive

extension TemplateShelf {
    /// Builds the template's directory under a hidden name and publishes it by rename.
    ///
    /// A caller that waits for another registration of the same template gets that one's result.
    func register(_ registration: TemplateRegistration, progress: ProgressHandler?) async throws -> Template {
        let key = registration.key
        guard !registration.name.isEmpty, !registration.name.contains("\0") else {
            throw LXCError(.invalidArgument, "template \(key) needs a name")
        }
        let source = try TemplateSource(registration.source)
        let identity = try await identity(of: registration, source)
        try await check()
        guard try await !isTaken(key) else { throw taken(key) }
        for directory in ["template", "template/tmpl", Self.account(key)] { try await files.makeDirectory(directory) }
        return try await alone(on: key, keepingDownload: source.isDownloaded) { lock in
            if try await isTaken(key) { return try await resultOfAnother(key, identity) }
            let template = try await build(registration, source, identity, under: lock, progress)
            logger.info("registered template", metadata: ["template": "\(key)", "name": "\(registration.name)"])
            for warning in template.warnings {
                logger.notice(
                    "the template may not be what was meant",
                    metadata: ["template": "\(key)", "warning": "\(warning.kind)", "reason": "\(warning)"])
            }
            return template
        }
    }

    /// The template made by another caller during the wait, if it is the same.
    private func resultOfAnother(_ key: TemplateKey, _ identity: String) async throws -> Template {
        guard let properties = try? await read(key), properties.registration == identity else { throw taken(key) }
        logger.info("another program has registered the template", metadata: ["template": "\(key)"])
        return try properties.template(key)
    }

    private func taken(_ key: TemplateKey) -> LXCError {
        LXCError(
            .alreadyExists, "there is a template \(key) in \(shown) already; delete it first or take another id")
    }

    /// A hash by which the same request is known again. Of a file that is read where it is it changes with the file.
    private func identity(of registration: TemplateRegistration, _ source: TemplateSource) async throws -> String {
        let origin: String
        switch source {
        case .web(let address): origin = address.fingerprint
        case .file(let file): origin = try await pool.run { _ in try file.open().identity }
        }
        return registration.fingerprint(origin: origin)
    }

    private func build(
        _ registration: TemplateRegistration, _ source: TemplateSource, _ identity: String, under lock: StoreLock,
        _ progress: ProgressHandler?
    ) async throws -> Template {
        let key = registration.key
        let staged = Self.hidden(key)
        do {
            try await files.makeDirectory(staged)
            let template = try await fetchAndFill(staged, registration, source, identity, progress)
            // Its checksum was taken in one reading and its contents in another.
            guard try await self.identity(of: registration, source) == identity else {
                throw LXCError(
                    .invalidState,
                    "\(registration.source) changed while it was read; register it when it is complete"
                )
            }
            // Before the template appears, since nothing would look for it after that.
            try await downloads.remove(key)
            try Task.checkCancellation()
            try await lock.confirm()
            do {
                try await files.publish(staged, as: Self.directory(key))
            } catch let error as LXCError where error.code == .alreadyExists {
                throw taken(key)
            }
            return template
        } catch {
            await withoutCancellation { try? await remove(staged) }
            throw error
        }
    }

    // MARK: The archive

    /// An archive that is there to be read.
    private struct Archive {
        var file: any StoredFile
        var warnings: [TemplateWarning] = []
    }

    /// Makes the template from the archive, which is downloaded first where it is on a web server.
    private func fetchAndFill(
        _ staged: String, _ registration: TemplateRegistration, _ source: TemplateSource, _ identity: String,
        _ progress: ProgressHandler?
    ) async throws -> Template {
        let shown = registration.source.redacted
        switch source {
        case .file(let file):
            try await verify(registration.checksum, of: file, called: registration.source.description)
            let archive = Archive(file: NamedFile(file, called: shown))
            return try await fill(staged, from: archive, registration, identity, progress)
        case .web(let address):
            let download = Download(
                address: address, options: registration.download, maximumBytes: registration.maximumSize.bytes,
                directory: try await downloads.directory(registration.key), logger: logger, progress: progress)
            let isEndKnown = try await keepingWhatCanBeResumed(
                download, registration.key, { $0 is CancellationError || Self.code(of: $0) == .unavailable },
                { try await fetch(download, registration) })
            var archive = Archive(file: NamedFile(LocalFile(download.file), called: shown))
            if !isEndKnown, registration.checksum == nil { archive.warnings = [Self.unverifiedLength] }
            // A full disk is temporary, and limits can be raised: only the archive's own faults are permanent.
            return try await keepingWhatCanBeResumed(
                download, registration.key, { !Self.judgements.contains(Self.code(of: $0)) },
                { try await fill(staged, from: archive, registration, identity, progress) })
        }
    }

    private static let unverifiedLength = TemplateWarning(
        .unverifiedLength,
        "the server told neither the length of the archive nor its end, so that a part of it could pass for the whole; "
            + "register it with its checksum")

    /// Permanent faults of an archive.
    private static let judgements: [LXCError.Code?] = [.corrupt, .unsafe, .unsupported, .invalidArgument]

    private static func code(of error: any Error) -> LXCError.Code? { (error as? LXCError)?.code }

    /// Bytes from before a crash of the host may be wrong: where the checksum of a resumed download is, all is fetched
    /// again, once.
    ///
    /// - Returns: whether the archive was seen to be whole.
    private func fetch(_ download: Download, _ registration: TemplateRegistration) async throws -> Bool {
        let archive = LocalFile(download.file)
        var result = try await download.run()
        do {
            try await verify(registration.checksum, of: archive, called: download.address.shown)
        } catch let error as LXCError where error.code == .corrupt && result.isResumed {
            logger.info(
                "the checksum of a resumed download is wrong; it starts again",
                metadata: ["source": "\(download.address.shown)"])
            try await downloads.remove(registration.key)
            result = try await download.run()
            try await verify(registration.checksum, of: archive, called: download.address.shown)
        }
        return result.isEndKnown
    }

    /// Removes the download when `body` fails, unless the failure may pass and the next try can take the download up.
    private func keepingWhatCanBeResumed<Value>(
        _ download: Download, _ key: TemplateKey, _ mayPass: (any Error) -> Bool, _ body: () async throws -> Value
    ) async throws -> Value {
        do {
            return try await body()
        } catch {
            let mayPass = mayPass(error)
            await withoutCancellation {
                if mayPass, (try? await download.isResumable(pool: pool)) == true { return }
                try? await downloads.remove(key)
            }
            throw error
        }
    }

    private func verify(_ checksum: Checksum?, of file: any StoredFile, called name: String) async throws {
        guard let checksum else { return }
        let found = try await pool.run { try Checksum.compute(checksum.algorithm, of: file, $0) }
        guard found == checksum else {
            throw LXCError(.corrupt, "\(name) has the checksum \(found), not the given \(checksum)")
        }
    }

    // MARK: The template

    /// Writes the plain file and its properties, and reads it back as a check: a tar to its end, the header and the
    /// tables of a disk image.
    private func fill(
        _ staged: String, from archive: Archive, _ registration: TemplateRegistration, _ identity: String,
        _ progress: ProgressHandler?
    ) async throws -> Template {
        let milliseconds = Int64(Date().timeIntervalSince1970 * 1000)
        let stem = UUID(javaNameBytes: "\(registration.name)\(milliseconds)".utf8).uuidString.lowercased()
        let tar = "\(staged)/\(stem).tar"
        let (size, checksum) = try await store(archive.file, at: tar, registration, progress)
        var template = Template(
            key: registration.key, name: registration.name, summary: registration.displayText,
            fileName: "\(stem).tar", size: ByteCount(size), isPublic: registration.isPublic, digest: nil)
        template.warnings = archive.warnings
        if let header = try await imageHeader(of: tar, registration) {
            template.format = .qcow2
            template.fileName = "\(stem).qcow2"
            template.virtualSize = ByteCount(header.virtualSize)
            try await files.publish(tar, as: "\(staged)/\(template.fileName)")
        } else {
            try await examine(tar, registration, &template)
        }
        let properties = TemplateProperties(
            template, checksum: registration.checksum, fileChecksum: checksum, registration: identity)
        try await files.write(properties.bytes, to: "\(staged)/\(TemplateProperties.fileName)", mode: 0o644)
        return template
    }

    /// Reads the tree in a tar to its end, and looks at whether it is the root of a system.
    private func examine(
        _ tar: String, _ registration: TemplateRegistration, _ template: inout Template
    ) async throws {
        var options = TreeCopyOptions()
        options.limits = registration.limits
        options.requiresSafeRoot = true
        let file = NamedFile(files.file(tar), called: registration.source.redacted)
        let tree = ObservedTree(StoredArchive(file))
        template.digest = try await TreeCopy.examine(tree, options: options, pool: pool).digest
        let layout = tree.layout
        try layout.requireTree(registration.source.description)
        template.warnings += layout.warnings
    }

    /// The header of a disk image that is whole and self-contained; nil if the file is not a qcow2 image.
    private func imageHeader(of path: String, _ registration: TemplateRegistration) async throws -> QcowHeader? {
        let file = files.file(path)
        return try await pool.run { cancellation in
            guard let header = try QcowHeader.read(file) else { return nil }
            let shown = registration.source.description
            try header.requireBase(shown, maximumSize: registration.maximumSize.bytes)
            try header.checkTables(of: file.open(), shown, cancellation)
            return header
        }
    }

    /// Makes the plain tar or image of an archive, durably.
    private func store(
        _ archive: any StoredFile, at path: String, _ registration: TemplateRegistration, _ progress: ProgressHandler?
    ) async throws -> (size: UInt64, checksum: Checksum) {
        try await pool.run { [files] cancellation in
            var hash = MessageDigest(.sha256)
            let size = try ArchiveDecompression.run(
                from: archive, to: files.newFile(path, cancellation), maximumBytes: registration.maximumSize.bytes,
                expansionRatio: registration.limits.expansionRatio, cancellation: cancellation, progress: progress,
                observe: { hash.update(bufferPointer: $0) })
            return (size, Checksum(.sha256, digest: hash.finalize()))
        }
    }
}

extension TemplateSource {
    /// Whether the archive comes over the network first.
    fileprivate var isDownloaded: Bool {
        switch self {
        case .file: false
        case .web: true
        }
    }
}
