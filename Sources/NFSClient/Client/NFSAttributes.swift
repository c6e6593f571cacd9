// SPDX-License-Identifier: Apache-2.0

import FileTree
public import LXCCore

/// The type of a handle's object (RFC 1813, ftype3).
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

/// The attributes of an object (RFC 1813, fattr3).
public struct NFSAttributes: Hashable, Sendable {
    /// The object's type.
    public var type: NFSFileType
    /// The mode bits 07777.
    public var mode: UInt16
    /// The number of its names.
    public var links: UInt32
    /// The numeric user id.
    public var user: UInt32
    /// The numeric group id.
    public var group: UInt32
    /// Its size in bytes.
    public var size: UInt64
    /// The space it occupies on the server's disk in bytes.
    public var used: UInt64
    /// A device's major and minor number.
    public var device: (major: UInt32, minor: UInt32) { (deviceMajor, deviceMinor) }
    /// The server's file system that contains it.
    public var fileSystem: UInt64
    /// Its number in that file system.
    public var fileID: UInt64
    /// The time of the last read.
    public var accessed: Timestamp
    /// The time of the last change of its contents.
    public var modified: Timestamp
    /// The time of the last change of its attributes.
    public var changed: Timestamp

    var deviceMajor: UInt32
    var deviceMinor: UInt32
}

/// Attributes to set (RFC 1813, sattr3); nil leaves one unchanged.
public struct NFSNewAttributes: Hashable, Sendable {
    /// A time to set.
    public enum Time: Hashable, Sendable {
        /// The server's own time.
        case now
        /// A given time: 32 bits of seconds from 1970 to 2106, and nanoseconds. Times out of the range become the
        /// nearest in it.
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

    /// Creates a set of attributes to change.
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

/// The durability of data when the server answers a write (RFC 1813, stable_how).
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

/// The way a file is created (RFC 1813, createmode3).
public enum NFSCreation: Hashable, Sendable {
    /// An existing file of that name is used, and given the attributes.
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

/// A server's answer to a write.
public struct NFSWritten: Hashable, Sendable {
    /// The number of bytes written; may be less than the number given.
    public var count: Int
    /// The durability of the bytes.
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
    /// The free bytes.
    public var freeBytes: UInt64
    /// The bytes the calls' user may use.
    public var availableBytes: UInt64
    /// The maximum number of files.
    public var totalFiles: UInt64
    /// The number of free file slots.
    public var freeFiles: UInt64
    /// The number of file slots free to the calls' user.
    public var availableFiles: UInt64
}

/// The limits of a server (RFC 1813, FSINFO); sizes in bytes.
public struct NFSInformation: Hashable, Sendable {
    /// The most one READ brings.
    public var maximumRead: UInt32
    /// The maximum size of one WRITE.
    public var maximumWrite: UInt32
    /// The preferred size of one READDIR.
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
