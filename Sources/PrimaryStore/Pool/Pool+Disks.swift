// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
import LinuxSystem
import Logging
import StoreFiles

/// Disk images and the disks over them: files beside the directories of templates and volumes, built, published, recorded
/// and removed as those are.
extension Pool {
    /// Copies an image in staging and publishes it by rename; the second caller waits and gets the first's.
    func installImage(
        _ id: TemplateID, from image: DiskImage, progress: ProgressHandler?
    ) async throws -> StoredImage {
        try await hold(id) { lock in
            if let installed = try await installedImage(id) {
                guard image.sha256 == nil || image.sha256 == installed.sha256 else {
                    throw LXCError(
                        .corrupt,
                        "the installed image \(id) has the SHA-256 \(installed.sha256), not that of \(image.description)"
                    )
                }
                return installed
            }
            try await files.requireOwnership(in: StoreLayout.staging)
            try await keepReserve()
            let staged = StoreLayout.staged(id)
            do {
                let sha256 = try await threads.run { [files] cancellation in
                    try image.copy(to: files.newFile(staged, cancellation), cancellation, progress: progress)
                }
                // The header of the copy, which no one else can change any more.
                let header = try await header(of: staged, shown: image.description)
                try header.requireBase(image.description)
                try Task.checkCancellation()
                let record = ObjectRecord(imageOf: header.virtualSize, sha256: sha256)
                try await publish(staged, as: id, record, under: [lock])
                logger.info("installed image", metadata: ["pool": "\(self.id)", "template": "\(id)"])
                return record.image(id)
            } catch {
                await discardStaged(staged)
                throw error
            }
        }
    }

    /// The image of that id, or nil.
    private func installedImage(_ id: TemplateID) async throws -> StoredImage? {
        guard try await isThere(id) else { return nil }
        guard let record = try await record(id) else {
            guard try await isTree(id) else { throw foreignFile(id) }
            throw LXCError(.alreadyExists, "\(id) is a directory of pool \(files), not a disk image")
        }
        guard record.kind == .image else { throw other(record, id, "a disk image") }
        return record.image(id)
    }

    /// Reads an image again and compares it with what was installed.
    func verifyImage(
        _ id: TemplateID, sha256: String?, progress: ProgressHandler?
    ) async throws -> [TreeManifest.Difference] {
        let image = DiskImage(files.file(StoreLayout.object(id)), sha256: sha256)
        try await threads.run { try image.verify($0, progress: progress) }
        return []
    }

    /// Has a disk made in staging, looks at what was made, and publishes it by rename. This host sees the pool at
    /// `directory`.
    func createDisk(
        _ id: VolumeID, over image: TemplateID, size: ByteCount?, seenAt directory: String,
        make: (DiskOverlay) async throws -> Void
    ) async throws -> DiskOverlay {
        try await hold(id) { lock in
            guard try await !isThere(id) else {
                throw LXCError(.alreadyExists, "there is something named \(id) in pool \(files) already")
            }
            // Shared with other disks; a deletion of the image waits for all of them, and then sees their disks.
            return try await files.hold(StoreLayout.lock(image), .shared) { shared in
                guard let base = try await installedImage(image) else {
                    throw LXCError(.notFound, "image \(image) is not installed in pool \(files)")
                }
                guard size.map({ $0 >= base.virtualSize }) ?? true else {
                    throw LXCError(
                        .invalidArgument, "a disk over the image \(image) must not be smaller than \(base.virtualSize)")
                }
                let staged = StoreLayout.staged(id)
                var disk = DiskOverlay(
                    directory: "\(directory)/\(staged)", name: "disk",
                    base: "\(directory)/\(StoreLayout.object(image))",
                    virtualSize: size ?? base.virtualSize)
                let record = ObjectRecord(diskOver: image, virtualSize: disk.virtualSize.bytes)
                do {
                    try await claiming(id, on: image, users: passers(to: record).map(\.user)) {
                        // Of its own: nothing else is there for a storage pool to find.
                        try await files.makePrivateDirectory(staged)
                        try await make(disk)
                        try await check(disk, at: "\(staged)/\(disk.name)")
                        try Task.checkCancellation()
                        try await publish("\(staged)/\(disk.name)", as: id, record, under: [lock, shared])
                    }
                } catch {
                    await discardStaged(staged)
                    throw error
                }
                await discardStaged(staged)
                logger.info(
                    "created disk", metadata: ["pool": "\(self.id)", "volume": "\(id)", "template": "\(image)"])
                (disk.directory, disk.name) = (directory, StoreLayout.object(id))
                return disk
            }
        }
    }

    /// Makes sure that a disk is what was asked for, and durable.
    private func check(_ disk: DiskOverlay, at path: String) async throws {
        let header = try await header(of: path, shown: disk.path)
        try header.requireOwnContents(disk.path.escapedForDisplay)
        guard header.backingFile == disk.base, header.virtualSize == disk.virtualSize.bytes else {
            throw LXCError(.corrupt, "\(disk.path.escapedForDisplay) was made as another disk than was asked for")
        }
        try await files.sync(path)
    }

    /// Refuses a disk that refers to another file for its contents. A virtual machine cannot write its disk's header, the
    /// program that runs it could. Which file the disk differs from the domain's document says, not the header.
    func requireSafeDisk(_ volume: VolumeID) async throws {
        let shown = "the disk \(volume) of pool \(files)"
        try await header(of: StoreLayout.object(volume), shown: shown).requireOwnContents(shown)
    }

    private func header(of path: String, shown: String) async throws -> QcowHeader {
        let file = files.file(path)
        guard let header = try await threads.run({ _ in try QcowHeader.read(file) }) else {
            throw LXCError(.corrupt, "\(shown) is not a qcow2 image")
        }
        return header
    }

    /// Removes a staged directory; completes in a cancelled task, too.
    private func discardStaged(_ path: String) async {
        await withoutCancellation { [files, threads] in try? await files.tree(path).remove(pool: threads) }
    }
}
