// SPDX-License-Identifier: Apache-2.0

import FileTree
public import FoundationEssentials
public import LXCCore
public import StoreFiles

/// A disk image on primary storage: the base of disks, never run itself. It is the file `<pool>/<uuid>`, as CloudStack
/// has it.
public struct StoredImage: Hashable, Sendable, Codable {
    /// Names the image, as a template; also its file's name.
    public var id: TemplateID
    /// The size of the disk a virtual machine sees.
    public var virtualSize: ByteCount
    /// The SHA-256 of its bytes, in lower-case hexadecimal digits.
    public var sha256: String
    /// The time of installation.
    public var created: Date

    /// Creates an image.
    public init(id: TemplateID, virtualSize: ByteCount, sha256: String, created: Date) {
        self.id = id
        self.virtualSize = virtualSize
        self.sha256 = sha256
        self.created = created
    }
}

/// A virtual machine's disk on primary storage: what differs from its image, in the file `<pool>/<uuid>`.
public struct StoredDisk: Hashable, Sendable, Codable {
    /// Names the disk, as a volume; also its file's name.
    public var id: VolumeID
    /// The image it differs from.
    public var image: TemplateID
    /// The size of the disk the virtual machine sees.
    public var virtualSize: ByteCount
    /// The time of creation.
    public var created: Date

    /// Creates a disk.
    public init(id: VolumeID, image: TemplateID, virtualSize: ByteCount, created: Date) {
        self.id = id
        self.image = image
        self.virtualSize = virtualSize
        self.created = created
    }
}

/// A disk as this host finds it: a file that differs from a base.
public struct DiskOverlay: Hashable, Sendable {
    /// The directory it is in, or is to be made in.
    public var directory: String
    /// Its name there.
    public var name: String
    /// The absolute path of the image it differs from, which is never written.
    public var base: String
    /// The size of the disk the virtual machine sees.
    public var virtualSize: ByteCount

    /// Its absolute path.
    public var path: String { "\(directory)/\(name)" }

    /// Creates an overlay.
    public init(directory: String, name: String, base: String, virtualSize: ByteCount) {
        self.directory = directory
        self.name = name
        self.base = base
        self.virtualSize = virtualSize
    }
}

/// A primary store that also holds disk images and the disks of virtual machines. Both formats are qcow2.
///
/// Images are removed by `deleteTemplate`, disks leased, found on this host and removed by the calls for
/// volumes.
public protocol DiskStore: PrimaryStore {
    /// Copies an image once (PrimaryStorageDownload). When it is there already, or another task or host is installing it,
    /// returns what that made.
    ///
    /// - Parameters:
    ///   - id: the image's name on this store.
    ///   - image: the image to copy.
    ///   - progress: called while it is copied.
    /// - Returns: the image.
    /// - Throws: `LXCError` `unsafe` for an image that needs another file, `corrupt` for one that is damaged or has the
    ///   wrong SHA-256, `alreadyExists` if another object has the name, `unsupported`, `io`; `CancellationError`.
    ///   Nothing is left in the store then.
    func installImage(
        _ id: TemplateID, from image: DiskImage, progress: ProgressHandler?
    ) async throws -> StoredImage

    /// Makes a disk with the contents of an image, until it is written to.
    ///
    /// - Parameters:
    ///   - id: the disk's name.
    ///   - image: the image.
    ///   - size: the size of the disk, not below the image's; nil for the image's.
    ///   - make: makes the file on this host, in a directory of its own; the store checks and publishes it.
    /// - Returns: the disk's path on this host.
    /// - Throws: `LXCError` `notFound` without that image, `alreadyExists`, `invalidArgument` for a size below the image's,
    ///   `unavailable`, `io`, and what `make` throws. Nothing is left in the store then.
    func createDisk(
        _ id: VolumeID, over image: TemplateID, size: ByteCount?, make: (DiskOverlay) async throws -> Void
    ) async throws -> DiskOverlay
}
