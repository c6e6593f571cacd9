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
    /// What is there and cannot be told, ordered by id.
    public var broken: [Broken]

    /// A directory or a file whose record cannot be read: damaged, or of a kind a later version made. It is neither cloned
    /// nor started from, and can be deleted, as a template or as a volume.
    public struct Broken: Hashable, Sendable, Codable {
        /// Names it, whatever it is.
        public var id: VolumeID
        /// Why it cannot be told what it is.
        public var reason: String

        /// Takes both.
        public init(id: VolumeID, reason: String) {
            self.id = id
            self.reason = reason
        }
    }

    /// Takes the lists.
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

/// Who uses a volume.
public struct VolumeLease: Hashable, Sendable, Codable {
    /// The volume.
    public var volume: VolumeID
    /// The host that uses it.
    public var holder: String
    /// Since when.
    public var acquired: Date
    /// When it ends unless it is renewed; nil when it does not.
    public var expires: Date?

    /// Takes everything.
    public init(volume: VolumeID, holder: String, acquired: Date, expires: Date? = nil) {
        self.volume = volume
        self.holder = holder
        self.acquired = acquired
        self.expires = expires
    }

    /// The lease a holder has after it asked for the volume: a new one, or `present` renewed.
    ///
    /// - Parameters:
    ///   - present: the lease there is.
    ///   - volume: the volume.
    ///   - holder: who asks.
    ///   - now: the time by the store's clock; whole seconds of it count.
    ///   - duration: how long it shall last; nil for ever.
    /// - Returns: the lease to keep.
    /// - Throws: `LXCError` `inUse` while it is another's, `invalidArgument`.
    public static func succeeding(
        _ present: VolumeLease?, on volume: VolumeID, for holder: String, now: Date, lasting duration: Duration?
    ) throws -> VolumeLease {
        guard !holder.isEmpty else {
            throw LXCError(.invalidArgument, "a lease on volume \(volume) needs its holder's name")
        }
        guard duration.map({ $0 > .zero }) ?? true else {
            throw LXCError(.invalidArgument, "a lease on volume \(volume) needs a duration above zero")
        }
        let now = Date(timeIntervalSince1970: now.timeIntervalSince1970.rounded(.down))
        // Rounded up: a lease is never shorter than was asked for.
        let expires = duration.map { now + ($0 / .seconds(1)).rounded(.up) }
        if let present, !present.hasEnded(at: now) {
            guard present.holder == holder else { throw present.conflict }
            return VolumeLease(volume: volume, holder: holder, acquired: present.acquired, expires: expires)
        }
        return VolumeLease(volume: volume, holder: holder, acquired: now, expires: expires)
    }

    /// The error where there is no lease to renew.
    public static func missing(on volume: VolumeID, for holder: String) -> LXCError {
        LXCError(.notFound, "\(holder.escapedForDisplay) has no lease on volume \(volume)")
    }

    /// Whether it does not hold any more.
    public func hasEnded(at now: Date) -> Bool { expires.map { $0 < now } ?? false }

    /// The error another holder gets.
    public var conflict: LXCError {
        let end = expires.map { " and until \($0.ISO8601Format())" } ?? ""
        return LXCError(
            .inUse,
            "volume \(volume) is in use by \(holder.escapedForDisplay) since \(acquired.ISO8601Format())\(end)")
    }
}
