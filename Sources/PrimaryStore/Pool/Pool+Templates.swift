// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
import LinuxSystem
import Logging
import StoreFiles
import TarArchive

extension Pool {
    /// A manifest has 66 bytes for each of at most `TreeManifest.maximumEntries` entries, and 32 MiB of paths, which
    /// escapes may double.
    private static let manifestLimit = 144 << 20

    /// Unpacks a template in staging and publishes it by rename; the second caller waits and gets the first's.
    func installTemplate(
        _ id: TemplateID, from origin: any TreeOrigin, expecting expected: TreeDigest?, limits: TreeLimits,
        progress: ProgressHandler?
    ) async throws -> StoredTemplate {
        try await hold(id) { lock in
            if let installed = try await installed(id) {
                try await check(installed, against: expected)
                return installed
            }
            var options = TreeCopyOptions()
            options.limits = limits
            options.requiresSafeRoot = true
            options.keepsManifest = true
            let record = try await build(id, from: origin, options: options, under: [lock], progress: progress) {
                summary, tree in
                try Self.check(summary.digest, against: expected, of: origin.description)
                var record = ObjectRecord(.template, summary)
                var manifest = summary.manifest
                if !summary.losses.isEmpty {
                    // Parts lost earlier cannot be compared later; the present state is read once to know it.
                    let without = TreeDigest.Part.allCases
                    let held = try await examine(tree, without: without, progress: nil)
                    record.held = .init(digest: held.digest, without: without)
                    manifest = held.manifest
                }
                return (record, manifest)
            }
            logger.info("installed template", metadata: ["pool": "\(self.id)", "template": "\(id)"])
            return record.template(id)
        }
    }

    /// The template of that id, or nil; a directory without a record is adopted.
    func installed(_ id: TemplateID) async throws -> StoredTemplate? {
        guard try await isThere(id) else { return nil }
        guard let record = try await record(id) else {
            guard try await isTree(id) else { throw foreignFile(id) }
            return StoredTemplate(id: id)
        }
        guard record.kind == .template else { throw other(record, id, "a template of containers") }
        return record.template(id)
    }

    /// The error for a name that something else has.
    func other(_ record: ObjectRecord, _ id: Identifier<some Any>, _ wanted: String) -> LXCError {
        LXCError(.alreadyExists, "\(id) is \(record.kind.article) of pool \(files), not \(wanted)")
    }

    /// The error for a file that has no record.
    func foreignFile(_ id: Identifier<some Any>) -> LXCError {
        LXCError(
            .alreadyExists,
            "\(files)/\(id) is a file that this package did not make; find out whose it is, or use another UUID")
    }

    /// A directory that this package did not make is accepted only if its tree is the expected one.
    private func check(_ installed: StoredTemplate, against expected: TreeDigest?) async throws {
        guard let expected else { return }
        if installed.digest != nil {
            return try Self.check(installed.digest, against: expected, of: "the installed template \(installed.id)")
        }
        let found = try await examine(base(of: installed.id), without: [], progress: nil).digest
        guard found == expected else {
            throw LXCError(
                .alreadyExists,
                "\(files)/\(installed.id) is a directory that this package did not make, with the tree digest "
                    + "\(found?.description ?? "none"), not the expected \(expected); find out whose it is and remove it, or use "
                    + "another UUID")
        }
    }

    private static func check(_ digest: TreeDigest?, against expected: TreeDigest?, of what: String) throws {
        guard let expected, let digest, digest != expected else { return }
        throw LXCError(.corrupt, "\(what) has the tree digest \(digest), not the expected \(expected)")
    }

    /// Moves a template, an image, or an unrecognized object away by rename, then removes it.
    func deleteTemplate(_ id: TemplateID) async throws {
        try await holdToFree(id) { lock in
            guard try await isThere(id) else { return }
            let found = try await recordToRemove(id)
            if case .known(let record) = found, record.kind != .image, record.kind != .template {
                throw other(record, id, "a template; delete it as a volume")
            }
            if case .none = found, try await !isTree(id) { throw foreignFile(id) }
            try await requireUnused(id)
            if case .broken = found { try await requireUnleased(VolumeID(id.uuid)) }
            try await discard(id, found.record, under: lock)
            logger.info("deleted template", metadata: ["pool": "\(self.id)", "template": "\(id)"])
        }
    }

    private func requireUnused(_ id: TemplateID) async throws {
        let dependents = try await dependents(of: id)
        for dependent in dependents where try await isThere(dependent) {
            throw LXCError(
                .inUse,
                "template \(id) is the base of \(dependents.count) volumes, of \(dependent) among them; delete those first"
            )
        }
    }

    /// The origin of a template's clones. CloudStack 4.5 and later leave the packed archive itself in its directory: a
    /// directory without a record that holds one `.tar` and nothing else.
    func base(of template: TemplateID) async throws -> any TreeOrigin {
        let directory = StoreLayout.object(template)
        let names = try await files.list(directory)
        if names.count == 1, let name = names.first, name.lowercased().hasSuffix(".tar"),
            try await record(template) == nil
        {
            return StoredArchive(files.file("\(directory)/\(name)"))
        }
        return try files.tree(directory)
    }

    // MARK: Verifying

    /// Digests the template's directory and compares it with the digest in its record, and where they differ entry by
    /// entry with its manifest.
    func verifyTemplate(_ id: TemplateID, progress: ProgressHandler?) async throws -> [TreeManifest.Difference] {
        // Shared with clones; the template cannot be deleted in the meantime.
        try await holdToFree(StoreLayout.lock(id), .shared) { _ in
            guard try await isThere(id) else {
                throw LXCError(.notFound, "template \(id) is not installed in pool \(files)")
            }
            let record = try await record(id)
            if record?.kind == .image { return try await verifyImage(id, sha256: record?.sha256, progress: progress) }
            guard let record, record.kind == .template,
                let digest = record.held?.digest ?? record.digest
            else {
                throw LXCError(
                    .unsupported, "\(id) was not installed by this package; nothing is known to compare it with")
            }
            let summary = try await examine(
                files.tree(StoreLayout.object(id)), without: record.held?.without ?? [], progress: progress)
            return summary.digest == digest ? [] : try await differences(of: id, summary, digest)
        }
    }

    private func examine(
        _ tree: any TreeOrigin, without parts: [TreeDigest.Part], progress: ProgressHandler?
    ) async throws -> TreeSummary {
        var options = TreeCopyOptions()
        options.keepsManifest = true
        options.digestOmits = Set(parts)
        return try await TreeCopy.examine(tree, options: options, pool: threads, progress: progress)
    }

    private func differences(
        of id: TemplateID, _ summary: TreeSummary, _ digest: TreeDigest
    ) async throws -> [TreeManifest.Difference] {
        let text = try await files.read(StoreLayout.manifest(id), limit: Self.manifestLimit)
        guard let text, let found = summary.manifest else {
            let found = summary.digest?.description ?? "none"
            throw LXCError(
                .corrupt, "template \(id) has the digest \(found), not \(digest); delete and install it again")
        }
        let installed = try TreeManifest(parsing: text)
        guard installed.digest == digest else {
            throw LXCError(
                .corrupt, "the manifest and the record of template \(id) contradict each other; install it again")
        }
        return found.differences(from: installed)
    }
}
