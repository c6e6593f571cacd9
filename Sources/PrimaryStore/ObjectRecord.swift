import FileTree
import Foundation
import LXCCore

/// What `.lxc/objects/<uuid>.json` says of a directory.
struct ObjectRecord: Codable {
    enum Kind: String, Codable { case template, volume }

    /// The version this code writes. A record of a later version is read as far as its known fields go.
    static let currentVersion = 1

    var formatVersion = Self.currentVersion
    var kind: Kind
    var created: Date
    var digest: TreeDigest?
    var entries: UInt64
    var logicalBytes: UInt64
    var template: TemplateID?
    var idMap: IDMap?
    /// What the directory is compared with, where the place does not hold all of the tree.
    var held: Held?

    /// The part of a tree that a place holds.
    struct Held: Codable {
        var digest: TreeDigest?
        var without: [TreeDigest.Part]
    }

    /// The record of a template just unpacked.
    init(_ kind: Kind, _ summary: TreeSummary) {
        self.kind = kind
        // Whole seconds: what is returned now equals what is read back later.
        created = Date(timeIntervalSince1970: Date().timeIntervalSince1970.rounded(.down))
        digest = summary.digest
        entries = summary.counts.total
        logicalBytes = summary.logicalBytes
    }

    /// The record of a volume just cloned. A clone has the digest of its template; what the copy did not count, as a
    /// snapshot counts nothing, the template's record knows.
    init(volumeOf template: TemplateID, _ known: ObjectRecord?, _ summary: TreeSummary, idMap: IDMap?) {
        self.init(.volume, summary)
        digest = known?.digest
        if summary.counts.total == 0, let known {
            entries = known.entries
            logicalBytes = known.logicalBytes
        }
        self.template = template
        self.idMap = idMap
    }

    func template(_ id: TemplateID) -> StoredTemplate {
        StoredTemplate(
            id: id, digest: digest, entries: entries, logicalSize: ByteCount(logicalBytes), created: created)
    }

    func volume(_ id: VolumeID) -> StoredVolume {
        StoredVolume(
            id: id, template: template, idMap: idMap, entries: entries, logicalSize: ByteCount(logicalBytes),
            created: created)
    }
}

/// JSON files of the control directory.
enum ControlFile {
    static func encode(_ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        encoder.dateEncodingStrategy = .iso8601
        return try Array(encoder.encode(value))
    }

    /// Nil where there is no such file.
    static func read<Value: Decodable>(_ type: Value.Type, _ path: String, in files: any StoreFiles) async throws
        -> Value?
    {
        guard let bytes = try await files.read(path) else { return nil }
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .iso8601
        do {
            return try decoder.decode(type, from: Data(bytes))
        } catch {
            throw LXCError(.corrupt, "\(files)/\(path) cannot be read; restore it or remove it", cause: error)
        }
    }
}
