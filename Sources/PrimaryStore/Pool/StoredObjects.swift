// SPDX-License-Identifier: Apache-2.0

public import FileTree
public import FoundationEssentials
public import LXCCore

/// A template unpacked on primary storage: the base of volumes, never run itself.
public struct StoredTemplate: Hashable, Sendable, Codable {
    /// Names the template; also its directory's name.
    public var id: TemplateID
    /// The digest of its tree; nil for a directory this package did not make.
    public var digest: TreeDigest?
    /// Number of entries; nil for a directory this package did not make.
    public var entries: UInt64?
    /// Sum of the files' sizes; nil for a directory this package did not make.
    public var logicalSize: ByteCount?
    /// The time of installation; nil for a directory this package did not make.
    public var created: Date?

    /// Creates a template.
    public init(
        id: TemplateID, digest: TreeDigest? = nil, entries: UInt64? = nil, logicalSize: ByteCount? = nil,
        created: Date? = nil
    ) {
        self.id = id
        self.digest = digest
        self.entries = entries
        self.logicalSize = logicalSize
        self.created = created
    }
}

/// A container's root volume.
public struct StoredVolume: Hashable, Sendable, Codable {
    /// Names the volume; also its directory's name.
    public var id: VolumeID
    /// The template it was cloned from; nil for a directory this package did not make.
    public var template: TemplateID?
    /// The id map applied while cloning; nil when the owners are those of the template.
    public var idMap: IDMap?
    /// Number of entries when it was created.
    public var entries: UInt64?
    /// Sum of the files' sizes when it was created.
    public var logicalSize: ByteCount?
    /// The time of creation.
    public var created: Date?

    /// Creates a volume.
    public init(
        id: VolumeID, template: TemplateID? = nil, idMap: IDMap? = nil, entries: UInt64? = nil,
        logicalSize: ByteCount? = nil, created: Date? = nil
    ) {
        self.id = id
        self.template = template
        self.idMap = idMap
        self.entries = entries
        self.logicalSize = logicalSize
        self.created = created
    }
}

/// The contents of a store.
public struct StoreContents: Hashable, Sendable, Codable {
    /// The templates, ordered by id.
    public var templates: [StoredTemplate]
    /// The volumes, ordered by id. A directory without a record, made by CloudStack or by hand, is listed here.
    public var volumes: [StoredVolume]
    /// The disk images, ordered by id. Files this package did not make are not listed.
    public var images: [StoredImage]
    /// The disks of virtual machines, ordered by id.
    public var disks: [StoredDisk]
    /// Unrecognized objects, ordered by id.
    public var broken: [Broken]

    /// A directory or a file with an unreadable record: damaged, or of a later version's kind. It is neither cloned nor
    /// started from, and can be deleted, as a template or as a volume.
    public struct Broken: Hashable, Sendable, Codable {
        /// Names it, whatever it is.
        public var id: VolumeID
        /// The reason why it is not recognized.
        public var reason: String

        /// Creates a broken object.
        public init(id: VolumeID, reason: String) {
            self.id = id
            self.reason = reason
        }
    }

    /// Creates contents from their lists.
    public init(
        templates: [StoredTemplate] = [], volumes: [StoredVolume] = [], images: [StoredImage] = [],
        disks: [StoredDisk] = [], broken: [Broken] = []
    ) {
        self.templates = templates
        self.volumes = volumes
        self.images = images
        self.disks = disks
        self.broken = broken
    }
}

/// The capacity of a store.
public struct StoreCapacity: Hashable, Sendable, Codable {
    /// The size of the file system.
    public var total: ByteCount
    /// The space this process can still use.
    public var available: ByteCount

    /// Creates a capacity.
    public init(total: ByteCount, available: ByteCount) {
        self.total = total
        self.available = available
    }
}
