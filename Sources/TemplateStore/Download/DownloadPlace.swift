// SPDX-License-Identifier: Apache-2.0

import FileTree
import Glibc
import LXCCore
import StoreFiles

/// The directories of this host in which archives stand while they are downloaded. They stay when a program ends, because
/// a download is continued where the one before ended.
struct DownloadPlace: Sendable {
    /// The time in seconds after which an abandoned download is removed: far longer than any download takes.
    private static let patience = 7 * 86_400

    private let files: LocalStoreFiles
    private let pool: BlockingPool
    /// The prefix of a template's directory name; nil for secondary storage itself.
    private let prefix: String?

    /// In secondary storage that is a directory of this host, beside the template.
    init(in storage: LocalStoreFiles, pool: BlockingPool) {
        files = storage
        self.pool = pool
        prefix = nil
    }

    /// For secondary storage elsewhere: in a directory of this user's own, which is made if it is missing; `prefix`
    /// distinguishes several storages.
    init(_ directory: String, prefix: String, pool: BlockingPool) {
        files = LocalStoreFiles(directory, pool: pool)
        self.pool = pool
        self.prefix = prefix
    }

    /// The directory's name beside the template; `nil` where it is elsewhere.
    func name(_ key: TemplateKey) -> String? { prefix == nil ? ".\(key.id).download" : nil }

    /// The absolute path of the partial download of the template's archive; its parent directory exists. Long-abandoned
    /// downloads are removed from it: their templates may have been deleted from another host.
    func directory(_ key: TemplateKey) async throws -> String {
        if prefix != nil { try await files.makePrivateDirectory("") }
        try await removeAbandoned(besides: key)
        return files.absolute(path(key))
    }

    private func removeAbandoned(besides key: TemplateKey) async throws {
        let place = prefix == nil ? TemplateShelf.account(key) : ""
        for name in try await files.list(place) {
            let path = place.isEmpty ? name : "\(place)/\(name)"
            guard isDownload(name), path != self.path(key) else { continue }
            let archive = files.absolute("\(path)/\(PartialDownload.fileName)")
            var status = stat()
            guard lstat(archive, &status) == 0, status.st_mtim.tv_sec < time(nil) - Self.patience else { continue }
            try await files.tree(path).remove(pool: pool)
        }
    }

    /// Whether a name is a download's: `.<id>.download` beside templates, else `<storage>.<account>.<id>`.
    private func isDownload(_ name: String) -> Bool {
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3 else { return false }
        if prefix == nil { return parts[0].isEmpty && UInt64(parts[1]) != nil && parts[2] == "download" }
        return parts[0].count == 16 && parts[0].allSatisfy(\.isHexDigit) && UInt64(parts[1]) != nil
            && UInt64(parts[2]) != nil
    }

    /// Removes the partial download of the template's archive.
    func remove(_ key: TemplateKey) async throws { try await files.tree(path(key)).remove(pool: pool) }

    private func path(_ key: TemplateKey) -> String {
        if let prefix { return "\(prefix).\(key.account).\(key.id)" }
        return "\(TemplateShelf.account(key))/.\(key.id).download"
    }
}
