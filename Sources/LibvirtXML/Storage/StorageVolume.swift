// SPDX-License-Identifier: Apache-2.0

public import FoundationEssentials
public import LXCCore

/// A directory of the host as a storage pool of libvirt's, of type `dir`.
public struct DirectoryStoragePool: Hashable, Sendable {
    /// The pool's UUID, which names it too.
    public var uuid: UUID
    /// The directory; it must exist.
    public var directory: String

    /// Creates a directory storage pool.
    public init(uuid: UUID, directory: String) {
        self.uuid = uuid
        self.directory = directory
    }

    /// The `<pool>` document.
    ///
    /// - Throws: `LXCError` `invalidArgument` naming the field that cannot be written.
    public func xml() throws -> String {
        try FieldFault.reported {
            var pool = XMLFragment("pool")
            try pool.set("type", "dir")
            try pool.writeText("name", uuid.uuidString.lowercased(), .objectName)
            try pool.writeText("uuid", uuid.uuidString.lowercased())
            try pool.write("target") { try $0.writeText("path", directory, .absoluteFilePath) }
            return try pool.printed()
        }
    }
}

/// A file of a storage pool that holds a disk in qcow2 format: what differs from another disk, or all of it.
public struct StorageVolume: Hashable, Sendable {
    /// The file's name in the pool's directory.
    public var name: String
    /// The size of the disk a virtual machine sees.
    public var capacity: ByteCount
    /// The absolute path of the qcow2 image it differs from; nil for a disk of its own. Its format is always written down:
    /// where it is not, it is guessed from contents that a guest may have written.
    public var backing: String?

    /// Creates a storage volume.
    public init(name: String, capacity: ByteCount, backing: String? = nil) {
        self.name = name
        self.capacity = capacity
        self.backing = backing
    }

    /// The `<volume>` document; the file is its owner's alone.
    ///
    /// - Throws: `LXCError` `invalidArgument` naming the field that cannot be written.
    public func xml() throws -> String {
        try FieldFault.reported {
            var volume = XMLFragment("volume")
            try volume.set("type", "file")
            try volume.writeText("name", name, .objectName)
            try volume.write("capacity") { element in
                try element.set("unit", "bytes")
                try element.setNumber(capacity.bytes, in: 1...UInt64(Int64.max))
            }
            try volume.write("target") { target in
                try target.write("format") { try $0.set("type", "qcow2") }
                try target.write("permissions") { try $0.writeText("mode", "0600") }
            }
            try volume.write("backingStore") { store in
                guard let backing else { return }
                try store.writeText("path", backing, .absoluteFilePath)
                try store.write("format") { try $0.set("type", "qcow2") }
            }
            return try volume.printed()
        }
    }
}
