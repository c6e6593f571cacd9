// SPDX-License-Identifier: Apache-2.0

/// A name in a directory of a place, and the type of its object.
public struct StoredName: Hashable, Sendable {
    /// The name, without the directory.
    public var name: String
    /// The type of the object.
    public var kind: StoredKind

    /// Creates a name.
    public init(_ name: String, _ kind: StoredKind) {
        self.name = name
        self.kind = kind
    }
}

/// The type of an object at a path of a place.
public enum StoredKind: Hashable, Sendable {
    /// A directory.
    case directory
    /// A regular file, with its size in bytes.
    case file(size: UInt64)
    /// Anything else: a symbolic link, a device, a socket, a FIFO.
    case other
}

/// The users who can pass through a place to its contents, besides its owner and the superuser.
public struct StorePassage: Hashable, Sendable {
    /// The users with an entry of their own in the access list.
    public var users: Set<UInt32>
    /// Whether everybody can.
    public var everyone: Bool
    /// Whether the place can name single users.
    public var namesUsers: Bool
    /// Whether others can do more than pass: list the place, write to it, pass as a group.
    public var isLoose: Bool

    /// Creates a description of the users who can pass.
    public init(users: Set<UInt32> = [], everyone: Bool = false, namesUsers: Bool, isLoose: Bool = false) {
        self.users = users
        self.everyone = everyone
        self.namesUsers = namesUsers
        self.isLoose = isLoose
    }
}
