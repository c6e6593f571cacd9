// SPDX-License-Identifier: Apache-2.0

import FileTree
import FoundationEssentials
import LXCCore
import StoreFiles

/// The record `.lxc/objects/<uuid>.json` of a directory, or of a disk's file.
struct ObjectRecord: Codable {
    enum Kind: String, Codable { case template, volume, image, disk }

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
    /// The reference for comparing the directory, if the place does not hold all of the tree.
    var held: Held?

    /// The SHA-256 of an image.
    var sha256: String?

    /// The part of a tree that a place holds.
    struct Held: Codable {
        var digest: TreeDigest?
        var without: [TreeDigest.Part]
    }

    private init(_ kind: Kind, entries: UInt64, logicalBytes: UInt64) {
        self.kind = kind
        // Whole seconds: the value returned now equals the one read back later.
        created = Date(timeIntervalSince1970: Date().timeIntervalSince1970.rounded(.down))
        self.entries = entries
        self.logicalBytes = logicalBytes
    }

    /// The record of a template just unpacked.
    init(_ kind: Kind, _ summary: TreeSummary) {
        self.init(kind, entries: summary.counts.total, logicalBytes: summary.logicalBytes.bytes)
        digest = summary.digest
    }

    /// The record of an image just copied.
    init(imageOf virtualSize: UInt64, sha256: String) {
        self.init(.image, entries: 1, logicalBytes: virtualSize)
        self.sha256 = sha256
    }

    /// The record of a disk just made.
    init(diskOver image: TemplateID, virtualSize: UInt64) {
        self.init(.disk, entries: 1, logicalBytes: virtualSize)
        template = image
    }

    /// The record of a volume just cloned. A clone has the digest of its template; counts the copy did not make, as
    /// with a snapshot, come from the template's record.
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

extension ObjectRecord.Kind {
    /// Whether others are made of it.
    var isBase: Bool { self == .template || self == .image }

    /// The kind with its article, for messages.
    var article: String {
        switch self {
        case .template: "a template"
        case .volume: "a volume"
        case .image: "a disk image"
        case .disk: "a disk"
        }
    }
}

extension ObjectRecord {
    func image(_ id: TemplateID) -> StoredImage {
        StoredImage(id: id, virtualSize: ByteCount(logicalBytes), sha256: sha256 ?? "", created: created)
    }

    /// Nil for a record that names no image.
    func disk(_ id: VolumeID) -> StoredDisk? {
        template.map { StoredDisk(id: id, image: $0, virtualSize: ByteCount(logicalBytes), created: created) }
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
        return try decode(type, bytes, path, files)
    }

    /// Decodes the contents of the file at a path.
    static func decode<Value: Decodable>(
        _ type: Value.Type, _ bytes: [UInt8], _ path: String, _ files: any StoreFiles
    ) throws -> Value {
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .iso8601
        do {
            return try decoder.decode(type, from: Data(bytes))
        } catch {
            throw LXCError(.corrupt, "\(files)/\(path) cannot be read; restore it or remove it", cause: error)
        }
    }
}
