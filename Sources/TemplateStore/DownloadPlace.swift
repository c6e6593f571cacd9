import FileTree
import LXCCore

/// The directories of this host in which archives stand while they are downloaded. They stay when a program ends, because
/// a download is continued where the one before ended.
struct DownloadPlace: Sendable {
    private let files: LocalStoreFiles
    private let pool: BlockingPool
    /// What a template's directory is in; nil for secondary storage itself.
    private let prefix: String?

    /// In secondary storage that is a directory of this host, beside the template.
    init(in storage: LocalStoreFiles, pool: BlockingPool) {
        files = storage
        self.pool = pool
        prefix = nil
    }

    /// For secondary storage elsewhere: in a directory of this user's own, which is made where it is missing; `prefix`
    /// tells one storage from another.
    init(_ directory: String, prefix: String, pool: BlockingPool) {
        files = LocalStoreFiles(directory, pool: pool)
        self.pool = pool
        self.prefix = prefix
    }

    /// How the directory is called beside the template; nil where it is elsewhere.
    func name(_ key: TemplateKey) -> String? { prefix == nil ? ".\(key.id).download" : nil }

    /// The absolute path of what there is of the template's archive; the directory above is there.
    func directory(_ key: TemplateKey) async throws -> String {
        if prefix != nil { try await files.makePrivateDirectory("") }
        return files.absolute(path(key))
    }

    /// Removes what there is of the template's archive.
    func remove(_ key: TemplateKey) async throws { try await files.tree(path(key)).remove(pool: pool) }

    private func path(_ key: TemplateKey) -> String {
        if let prefix { return "\(prefix).\(key.account).\(key.id)" }
        return "\(TemplateShelf.account(key))/.\(key.id).download"
    }
}
