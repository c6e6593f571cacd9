import FileTree
public import LXCCore

/// What kind of object a handle stands for (RFC 1813, ftype3).
public enum NFSFileType: UInt32, Hashable, Sendable {
    /// A regular file.
    case file = 1
    /// A directory.
    case directory = 2
    /// A block device.
    case blockDevice = 3
    /// A character device.
    case characterDevice = 4
    /// A symbolic link.
    case symbolicLink = 5
    /// A socket.
    case socket = 6
    /// A FIFO.
    case fifo = 7
}

/// What a server says of an object (RFC 1813, fattr3).
public struct NFSAttributes: Hashable, Sendable {
    /// What it is.
    public var type: NFSFileType
    /// The mode bits 07777.
    public var mode: UInt16
    /// How many names it has.
    public var links: UInt32
    /// The numeric user id.
    public var user: UInt32
    /// The numeric group id.
    public var group: UInt32
    /// Its size in bytes.
    public var size: UInt64
    /// The bytes it takes on the server's disk.
    public var used: UInt64
    /// A device's major and minor number.
    public var device: (major: UInt32, minor: UInt32) { (deviceMajor, deviceMinor) }
    /// Which of the server's file systems it is on.
    public var fileSystem: UInt64
    /// Its number in that file system.
    public var fileID: UInt64
    /// When it was last read.
    public var accessed: Timestamp
    /// When its contents last changed.
    public var modified: Timestamp
    /// When its attributes last changed.
    public var changed: Timestamp

    var deviceMajor: UInt32
    var deviceMinor: UInt32
}

/// Attributes to set (RFC 1813, sattr3); nil leaves one as it is.
public struct NFSNewAttributes: Hashable, Sendable {
    /// A time to set.
    public enum Time: Hashable, Sendable {
        /// The server's own time.
        case now
        /// A given time: 32 bits of seconds from 1970 to 2106, and nanoseconds. What lies outside becomes the nearest.
        case at(Timestamp)
    }

    /// The mode bits 07777.
    public var mode: UInt16?
    /// The numeric user id.
    public var user: UInt32?
    /// The numeric group id.
    public var group: UInt32?
    /// The size in bytes.
    public var size: UInt64?
    /// The time of last access.
    public var accessed: Time?
    /// The time of last modification.
    public var modified: Time?

    /// Creates NFS new attributes from what is to be set.
    public init(
        mode: UInt16? = nil, user: UInt32? = nil, group: UInt32? = nil, size: UInt64? = nil, accessed: Time? = nil,
        modified: Time? = nil
    ) {
        self.mode = mode
        self.user = user
        self.group = group
        self.size = size
        self.accessed = accessed
        self.modified = modified
    }

    /// Whether nothing is to be set.
    var isEmpty: Bool { self == NFSNewAttributes() }
}

/// How far data must be on its way to the disk before the server answers a write (RFC 1813, stable_how).
public enum NFSStability: UInt32, Hashable, Sendable, Comparable {
    /// It may be lost when the server restarts, until a COMMIT.
    case unstable = 0
    /// The data is on disk.
    case data = 1
    /// The data and everything needed to find it is on disk.
    case file = 2

    /// Whether the left is less safe.
    public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

/// How a file is created (RFC 1813, createmode3).
public enum NFSCreation: Hashable, Sendable {
    /// A file of that name is taken as it is, and given the attributes.
    case unchecked(NFSNewAttributes)
    /// A file of that name is an error.
    case guarded(NFSNewAttributes)
    /// A file of that name is an error unless it was created with the same eight bytes: a lost reply can be asked for
    /// again. Attributes are set afterwards.
    case exclusive(UInt64)
}

/// Changes whenever the server may have lost data that was written but not committed.
public struct NFSVerifier: Hashable, Sendable {
    let rawValue: UInt64
}

/// What a server answered to a write.
public struct NFSWritten: Hashable, Sendable {
    /// How many of the bytes it took; may be fewer than were given.
    public var count: Int
    /// How safe they are.
    public var stability: NFSStability
    /// To compare with the COMMIT's.
    public var verifier: NFSVerifier
    /// The file's attributes afterwards, where the server sent them.
    public var attributes: NFSAttributes?
}

/// A name in a directory.
public struct NFSDirectoryEntry: Hashable, Sendable {
    /// The name's bytes: never empty, `.` or `..`, never with a slash.
    public var name: [UInt8]
    /// The object's number in its file system.
    public var fileID: UInt64
    /// The object, where the server sent it.
    public var handle: NFSHandle?
    /// Its attributes, where the server sent them.
    public var attributes: NFSAttributes?
}

/// Space and files of a file system (RFC 1813, FSSTAT).
public struct NFSStatistics: Hashable, Sendable {
    /// Its size in bytes.
    public var totalBytes: UInt64
    /// The bytes nobody uses.
    public var freeBytes: UInt64
    /// The bytes the calls' user may use.
    public var availableBytes: UInt64
    /// How many files there can be.
    public var totalFiles: UInt64
    /// How many more there can be.
    public var freeFiles: UInt64
    /// How many more the calls' user may make.
    public var availableFiles: UInt64
}

/// What a server supports (RFC 1813, FSINFO); sizes in bytes.
public struct NFSInformation: Hashable, Sendable {
    /// The most one READ brings.
    public var maximumRead: UInt32
    /// The most one WRITE takes.
    public var maximumWrite: UInt32
    /// What one READDIR is best asked for.
    public var preferredDirectoryRead: UInt32
    /// The largest file.
    public var maximumFileSize: UInt64
    /// The steps times are kept in.
    public var timeStep: Timestamp
    /// Whether there are hard links.
    public var hasHardLinks: Bool
    /// Whether there are symbolic links.
    public var hasSymbolicLinks: Bool
    /// Whether times can be set.
    public var setsTimes: Bool
}
