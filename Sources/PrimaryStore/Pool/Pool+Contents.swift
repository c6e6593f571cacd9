// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
import Logging
import StoreFiles

extension Pool {
    /// Records are of a few hundred bytes.
    private static let recordLimit = 1 << 20

    /// The objects named by a UUID, and their records. Records are read once and concurrently, names are listed once.
    func contents() async throws -> StoreContents {
        var records = try await records()
        // Listed after the records: a deletion removes the object first, a creation makes the record first.
        var present = try await objects()
        let unknown = present.keys.filter { records[$0] == nil }
        if !unknown.isEmpty {
            // Made since the records were read, removed since the names were listed, or foreign.
            for id in unknown { records[id] = try await readRecord(id) }
            present = try await objects()
        }
        var contents = StoreContents()
        for (id, kind) in present.sorted(by: { $0.key < $1.key }) { add(id, kind, records[id], to: &contents) }
        return contents
    }

    private func add(
        _ id: VolumeID, _ kind: StoredKind, _ record: Result<ObjectRecord, LXCError>?, to contents: inout StoreContents
    ) {
        let template = TemplateID(id.uuid)
        switch record {
        case nil:
            // A file without a record is foreign.
            if kind == .directory { contents.volumes.append(StoredVolume(id: id)) }
        case .failure(let error): contents.broken.append(.init(id: id, reason: error.message))
        case .success(let record):
            switch record.kind {
            case .template: contents.templates.append(record.template(template))
            case .volume: contents.volumes.append(record.volume(id))
            case .image: contents.images.append(record.image(template))
            case .disk:
                if let disk = record.disk(id) {
                    contents.disks.append(disk)
                } else {
                    contents.broken.append(.init(id: id, reason: "the record of the disk names no image"))
                }
            }
        }
    }

    /// The objects named by a UUID: directories, and the files of disks and images.
    func objects() async throws -> [VolumeID: StoredKind] {
        var found: [VolumeID: StoredKind] = [:]
        for entry in try await files.scan("") where entry.kind != .other {
            guard let id = try? VolumeID(parsing: entry.name), id.description == entry.name else { continue }
            found[id] = entry.kind
        }
        return found
    }

    /// All records, including those without an object.
    func records() async throws -> [VolumeID: Result<ObjectRecord, LXCError>] {
        let read = try await files.readAll(in: StoreLayout.objects, limit: Self.recordLimit) { $0.hasSuffix(".json") }
        var records: [VolumeID: Result<ObjectRecord, LXCError>] = [:]
        for (name, bytes) in read {
            guard let id = try? VolumeID(parsing: String(name.dropLast(5))), "\(id).json" == name else { continue }
            records[id] = try Self.record(bytes, StoreLayout.record(id), files)
        }
        return records
    }

    /// One record that cannot be read hides nothing but its object; a place that does not answer hides all.
    private static func record(
        _ bytes: Result<[UInt8], LXCError>, _ path: String, _ files: any StoreFiles
    ) throws -> Result<ObjectRecord, LXCError> {
        do {
            return .success(try ControlFile.decode(ObjectRecord.self, bytes.get(), path, files))
        } catch let error as LXCError where error.saysNothingOfAFile {
            throw error
        } catch let error as LXCError {
            return .failure(error)
        }
    }

    private func readRecord(_ id: VolumeID) async throws -> Result<ObjectRecord, LXCError>? {
        let path = StoreLayout.record(id)
        do {
            guard let bytes = try await files.read(path, limit: Self.recordLimit) else { return nil }
            return try Self.record(.success(bytes), path, files)
        } catch let error as LXCError where !error.saysNothingOfAFile {
            return .failure(error)
        }
    }

    /// The volume of that id; nil if there is none.
    func volume(_ id: VolumeID) async throws -> StoredVolume? {
        guard try await isThere(id) else { return nil }
        if let record = try await record(id) { return record.kind == .volume ? record.volume(id) : nil }
        return try await isTree(id) ? StoredVolume(id: id) : nil
    }

    /// Whether there is something of that name: a directory, or the file of a disk or an image.
    func isThere(_ id: Identifier<some Any>) async throws -> Bool {
        switch try await files.kind(of: StoreLayout.object(id)) {
        case .directory, .file: true
        case .other, nil: false
        }
    }

    /// Whether there is a directory of that name.
    func isTree(_ id: Identifier<some Any>) async throws -> Bool {
        try await files.isDirectory(StoreLayout.object(id))
    }

    func record(_ id: Identifier<some Any>) async throws -> ObjectRecord? {
        try await ControlFile.read(ObjectRecord.self, StoreLayout.record(id), in: files)
    }

    /// The record, for a removal: an unreadable one does not prevent it.
    func recordToRemove(_ id: Identifier<some Any>) async throws -> RecordToRemove {
        switch try await readRecord(VolumeID(id.uuid)) {
        case nil: return .none
        case .success(let record): return .known(record)
        case .failure(let error):
            logger.warning(
                "removing an unrecognized object", metadata: ["pool": "\(self.id)", "id": "\(id)", "error": "\(error)"])
            return .broken
        }
    }
}

/// The record of an object to remove.
enum RecordToRemove {
    case none
    case known(ObjectRecord)
    case broken

    var record: ObjectRecord? {
        guard case .known(let record) = self else { return nil }
        return record
    }
}

extension LXCError {
    /// Whether it is the place that does not answer, and not one file that is bad.
    var saysNothingOfAFile: Bool { code == .unavailable || code == .timedOut }
}
