public import FileTree
public import Foundation
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
    /// When it was installed; nil for a directory this package did not make.
    public var created: Date?

    /// Takes everything.
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
    /// When it was created.
    public var created: Date?

    /// Takes everything.
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

/// What a store holds.
public struct StoreContents: Hashable, Sendable, Codable {
    /// The templates, ordered by id.
    public var templates: [StoredTemplate]
    /// The volumes, ordered by id. A directory without a record, made by CloudStack or by hand, is listed here.
    public var volumes: [StoredVolume]
    /// The disk images, ordered by id. Files this package did not make are not listed.
    public var images: [StoredImage]
    /// The disks of virtual machines, ordered by id.
    public var disks: [StoredDisk]

    /// Takes the lists.
    public init(
        templates: [StoredTemplate] = [], volumes: [StoredVolume] = [], images: [StoredImage] = [],
        disks: [StoredDisk] = []
    ) {
        self.templates = templates
        self.volumes = volumes
        self.images = images
        self.disks = disks
    }
}

/// How much room a store has.
public struct StoreCapacity: Hashable, Sendable, Codable {
    /// The size of the file system.
    public var total: ByteCount
    /// What can still be written by this process.
    public var available: ByteCount

    /// Takes both.
    public init(total: ByteCount, available: ByteCount) {
        self.total = total
        self.available = available
    }
}
