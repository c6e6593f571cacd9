// SPDX-License-Identifier: Apache-2.0

import LXCCore

/// A server's identifier of one of its objects, valid as long as the object exists.
///
/// Two handles are equal when their bytes are; the path is only where the handle was found, for messages.
public struct NFSHandle: Hashable, Sendable, CustomStringConvertible {
    /// The server's bytes, at most 64 of version 3 and 128 of version 4.
    public let bytes: [UInt8]
    /// The path under which the object was found, relative to the directory of the URL and escaped for display.
    public let path: String

    /// Creates an NFS handle from bytes that were kept, and a path for messages.
    public init(bytes: [UInt8], path: String = "") {
        self.bytes = bytes
        self.path = path
    }

    /// The path.
    public var description: String { path.isEmpty ? "." : path }

    /// The path of a name in this directory, for messages.
    func pathOf(_ name: some Sequence<UInt8>) -> String {
        let shown = String(escapingForDisplay: name)
        return path.isEmpty ? shown : "\(path)/\(shown)"
    }

    /// Whether the bytes are the same.
    public static func == (left: Self, right: Self) -> Bool { left.bytes == right.bytes }

    /// Hashes the bytes.
    public func hash(into hasher: inout Hasher) { hasher.combine(bytes) }
}

/// An object with its known attributes.
public struct NFSObject: Hashable, Sendable {
    /// The object.
    public let handle: NFSHandle
    /// Its attributes, where the server sent them along.
    public let attributes: NFSAttributes?

    /// Creates an NFS object.
    public init(_ handle: NFSHandle, _ attributes: NFSAttributes?) {
        self.handle = handle
        self.attributes = attributes
    }

    /// Whether both are one object, while that is there. Its handle may be another in another directory.
    func isSame(as other: NFSObject) -> Bool {
        if handle == other.handle { return true }
        guard let own = attributes, let others = other.attributes else { return false }
        return own.fileSystem == others.fileSystem && own.fileID == others.fileID
    }
}
