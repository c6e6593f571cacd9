// SPDX-License-Identifier: Apache-2.0

public import LXCCore

/// One entry of a root filesystem: what tar(5) and stat(2) know of it, without its contents.
public struct TreeEntry: Hashable, Sendable {
    /// The type of an entry.
    public enum Kind: Hashable, Sendable {
        /// A directory.
        case directory
        /// A regular file of `size` bytes, holes included.
        case file(size: UInt64)
        /// A symbolic link; the target is any bytes but NUL and is never resolved by this package.
        case symbolicLink(target: [UInt8])
        /// Another name of an entry that came earlier.
        case hardLink(to: TreePath)
        /// A character device.
        case characterDevice(major: UInt32, minor: UInt32)
        /// A block device.
        case blockDevice(major: UInt32, minor: UInt32)
        /// A FIFO.
        case fifo
    }

    /// An extended attribute; POSIX ACLs and file capabilities are extended attributes.
    public struct Attribute: Hashable, Sendable {
        /// The name.
        public var name: AttributeName
        /// The value.
        public var value: [UInt8]

        /// Creates an attribute.
        public init(name: AttributeName, value: [UInt8]) {
            self.name = name
            self.value = value
        }
    }

    /// The entry's path in the tree.
    public var path: TreePath
    /// The entry's type.
    public var kind: Kind
    /// The mode bits 07777; meaningless for symbolic links.
    public var mode: UInt16
    /// The numeric user id.
    public var user: UInt32
    /// The numeric group id.
    public var group: UInt32
    /// The time of the last change of the contents.
    public var modified: Timestamp
    /// The extended attributes, in no particular order.
    public var attributes: [Attribute]
    /// The data ranges of a file with holes, ascending and disjoint. Nil if the source knows of no hole.
    public var extents: [Range<UInt64>]?

    /// Creates a tree entry.
    public init(
        path: TreePath, kind: Kind, mode: UInt16, user: UInt32 = 0, group: UInt32 = 0,
        modified: Timestamp = Timestamp(seconds: 0), attributes: [Attribute] = [], extents: [Range<UInt64>]? = nil
    ) {
        self.path = path
        self.kind = kind
        self.mode = mode
        self.user = user
        self.group = group
        self.modified = modified
        self.attributes = attributes
        self.extents = extents
    }
}
