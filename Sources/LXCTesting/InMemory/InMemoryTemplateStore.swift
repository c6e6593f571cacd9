// SPDX-License-Identifier: Apache-2.0

public import FileTree
public import LXCCore
public import TemplateStore

/// A template store that keeps its templates in memory, for unit tests of programs that use one.
///
/// A registration's source is looked up among the archives added with ``addArchive(_:at:checksum:)``; no file is read.
public actor InMemoryTemplateStore: TemplateStore {
    private struct Archive {
        var tree: MemoryTree
        var checksum: Checksum?
    }

    private struct Stored {
        var template: Template
        var registration: TemplateRegistration
        var tree: MemoryTree
    }

    private let pool: BlockingPool
    private var archives: [String: Archive] = [:]
    private var templates: [TemplateKey: Stored] = [:]
    private var broken: [TemplateKey: String] = [:]
    private var faults = FaultQueue()

    /// An empty store.
    public init(pool: BlockingPool = .shared) { self.pool = pool }

    // MARK: For the test

    /// Makes the next call throw `error`. Called several times, as many calls do.
    public func failNext(with error: any Error) { faults.add(error) }

    /// Offers a tree as the archive `path`. A registration that gives a checksum is refused unless it is `checksum`.
    public func addArchive(_ tree: MemoryTree, at path: String, checksum: Checksum? = nil) {
        archives[path] = Archive(tree: tree, checksum: checksum)
    }

    /// Damages a template: from now on it is listed as broken, with `reason`.
    public func breakTemplate(_ key: TemplateKey, reason: String) { broken[key] = reason }

    /// Changes a template's tree behind its back, for ``verify(_:progress:)`` to find.
    public func replaceTree(of key: TemplateKey, with tree: MemoryTree) { templates[key]?.tree = tree }

    // MARK: TemplateStore

    /// Reads the archive's tree to its end and stores it.
    public func register(_ registration: TemplateRegistration, progress: ProgressHandler?) async throws -> Template {
        try faults.check()
        let key = registration.key
        guard !registration.name.isEmpty else { throw LXCError(.invalidArgument, "template \(key) needs a name") }
        guard templates[key] == nil else { throw taken(key) }
        guard let archive = archives[registration.source.revealed] else {
            if let scheme = registration.source.revealed.firstRange(of: "://")?.lowerBound,
                !["file", "http", "https"].contains(registration.source.revealed[..<scheme].lowercased())
            {
                throw LXCError(.unsupported, "archives are not taken from URLs of that scheme")
            }
            throw LXCError(.notFound, "there is no archive \(registration.source)")
        }
        if let wanted = registration.checksum, wanted != archive.checksum {
            let found = archive.checksum?.description ?? "-"
            throw LXCError(
                .corrupt, "\(registration.source) has the checksum \(found), not the given \(wanted)")
        }
        let template = try await examine(archive.tree, registration, progress)
        if let stored = templates[key] {
            // Another caller was faster; callers with the same registration get its result.
            guard stored.registration == registration else { throw taken(key) }
            return stored.template
        }
        templates[key] = Stored(template: template, registration: registration, tree: archive.tree)
        return template
    }

    /// The templates, and those broken by ``breakTemplate(_:reason:)``.
    public func list() throws -> TemplateListing {
        try faults.check()
        return TemplateListing(
            templates: templates.values.map(\.template).filter { broken[$0.key] == nil }.sorted { $0.key < $1.key },
            broken: broken.map { TemplateListing.Broken(key: $0.key, reason: $0.value) }.sorted { $0.key < $1.key })
    }

    /// The registered template.
    public func template(_ key: TemplateKey) throws -> Template {
        try faults.check()
        return try stored(key).template
    }

    /// The tree that was registered.
    public func contents(of key: TemplateKey) throws -> any TreeOrigin {
        try faults.check()
        return try stored(key).tree
    }

    /// Compares the tree with the digest taken when it was registered.
    public func verify(_ key: TemplateKey, progress: ProgressHandler?) async throws {
        try faults.check()
        let stored = try stored(key)
        let summary = try await TreeCopy.examine(stored.tree, pool: pool, progress: progress)
        guard stored.template.digest == summary.digest else {
            throw LXCError(.corrupt, "template \(key) is not what was registered")
        }
    }

    /// Forgets a template.
    public func delete(_ key: TemplateKey) throws {
        try faults.check()
        templates[key] = nil
        broken[key] = nil
    }

    // MARK: Details

    private func examine(
        _ tree: MemoryTree, _ registration: TemplateRegistration, _ progress: ProgressHandler?
    ) async throws -> Template {
        var options = TreeCopyOptions()
        options.limits = registration.limits
        options.requiresSafeRoot = true
        let summary = try await TreeCopy.examine(tree, options: options, pool: pool, progress: progress)
        // A tar's blocks have 512 bytes: one before each entry, and two at the end.
        let size = ByteCount(summary.logicalBytes.bytes + 512 * (summary.counts.total + 2))
        guard size <= registration.maximumSize else {
            throw LXCError(.limitExceeded, "\(tree) has more than the \(registration.maximumSize) that are accepted")
        }
        return Template(
            key: registration.key, name: registration.name,
            summary: registration.summary.isEmpty ? registration.name : registration.summary,
            fileName: "\(TemplateID.random()).tar", size: size, isPublic: registration.isPublic,
            digest: summary.digest)
    }

    private func stored(_ key: TemplateKey) throws -> Stored {
        if let reason = broken[key] { throw LXCError(.corrupt, reason) }
        guard let stored = templates[key] else { throw LXCError(.notFound, "there is no template \(key)") }
        return stored
    }

    private func taken(_ key: TemplateKey) -> LXCError {
        LXCError(.alreadyExists, "there is a template \(key) already; delete it first or take another id")
    }
}
