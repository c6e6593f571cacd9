// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
import LinuxSystem
import Logging
import StoreFiles

extension Pool {
    /// Clones a template in staging and publishes the volume by rename.
    func createVolume(
        _ id: VolumeID, from template: TemplateID, idMap: IDMap?, progress: ProgressHandler?
    ) async throws -> StoredVolume {
        try await hold(id) { lock in
            guard try await !isThere(id) else {
                throw LXCError(.alreadyExists, "there is something named \(id) in pool \(files) already")
            }
            try await requireInstalled(template)
            // Shared with other clones; a deletion of the template waits for all of them, and then sees their volumes.
            let made = try await files.hold(StoreLayout.lock(template), .shared) { shared in
                try await requireInstalled(template)
                var options = TreeCopyOptions()
                options.destinationMap = idMap
                options.requiresSafeRoot = true
                // The template's digest is known, and nothing but this package writes below a template.
                options.computesDigest = false
                let known = try await record(template)
                return try await claiming(id, on: template, users: [idMap?.hostUser(0)].compactMap(\.self)) {
                    try await build(
                        id, from: base(of: template), options: options, under: [lock, shared], progress: progress
                    ) { summary, _ in
                        (ObjectRecord(volumeOf: template, known, summary, idMap: idMap), nil)
                    }
                }
            }
            logger.info(
                "created volume", metadata: ["pool": "\(self.id)", "volume": "\(id)", "template": "\(template)"])
            return made.volume(id)
        }
    }

    private func requireInstalled(_ template: TemplateID) async throws {
        guard try await installed(template) != nil else {
            throw LXCError(.notFound, "template \(template) is not installed in pool \(files)")
        }
    }

    /// Moves a volume away by rename, then removes it.
    func deleteVolume(_ id: VolumeID) async throws {
        try await holdToFree(id) { lock in
            guard try await isThere(id) else { return }
            let found = try await recordToRemove(id)
            if case .known(let record) = found, record.kind.isBase {
                throw LXCError(
                    .invalidArgument,
                    "\(id) is \(record.kind.article) of pool \(files), not a volume; lxcctl pool delete removes it")
            }
            if case .none = found, try await !isTree(id) { throw foreignFile(id) }
            if case .broken = found {
                for dependent in try await dependents(of: TemplateID(id.uuid)) where try await isThere(dependent) {
                    throw LXCError(.inUse, "\(id) is the base of volume \(dependent); delete that first")
                }
            }
            try await requireUnleased(id)
            try await discard(id, found.record, under: lock)
            logger.info("deleted volume", metadata: ["pool": "\(self.id)", "volume": "\(id)"])
        }
    }

    /// Refuses while the volume is in use. An unreadable lease names no holder who could release it.
    func requireUnleased(_ id: VolumeID) async throws {
        let lease: VolumeLease?
        do {
            lease = try await self.lease(on: id)
        } catch let error as LXCError where error.code == .corrupt || error.code == .limitExceeded {
            logger.warning(
                "ignoring an unreadable lease", metadata: ["volume": "\(id)", "error": "\(error)"])
            return
        }
        if let lease, try await !lease.hasEnded(at: files.now()) { throw lease.conflict }
    }

    /// The volume's record, or nil if there is none.
    ///
    /// - Throws: `LXCError` `notFound` if there is no such volume, `unsafe` if its root must not be started from, or
    ///   the disk names another file.
    func requireSafeVolume(_ volume: VolumeID) async throws -> ObjectRecord? {
        let record = try await requireVolume(volume)
        if record?.kind == .disk {
            try await requireSafeDisk(volume)
            return record
        }
        try await files.tree(StoreLayout.object(volume)).requireSafeRoot(pool: threads)
        return record
    }

    @discardableResult
    func requireVolume(_ volume: VolumeID) async throws -> ObjectRecord? {
        let record = try await isThere(volume) ? record(volume) : nil
        // A file without a record is foreign.
        let isVolume = if let record { !record.kind.isBase } else { try await isTree(volume) }
        guard isVolume, try await isThere(volume) else {
            throw LXCError(.notFound, "there is no volume \(volume) in pool \(files)")
        }
        return record
    }
}
