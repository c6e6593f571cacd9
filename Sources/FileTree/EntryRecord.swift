import Crypto

/// The canonical bytes of one entry, as Documentation/TreeDigest.md defines them.
struct EntryRecord {
    /// The line the manifest begins with; a change of any definition changes it.
    static let version = Array("lxc-tree-digest 1\n".utf8)

    let hash: Hash

    /// Takes an entry, and for a file the hash of its contents.
    init(_ entry: TreeEntry, contents: Hash?) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(128)
        var mode = entry.mode & 0o7777
        switch entry.kind {
        case .directory: bytes.append(UInt8(ascii: "d"))
        case .file, .hardLink: bytes.append(UInt8(ascii: "f"))
        case .symbolicLink:
            bytes.append(UInt8(ascii: "l"))
            mode = 0
        case .characterDevice: bytes.append(UInt8(ascii: "c"))
        case .blockDevice: bytes.append(UInt8(ascii: "b"))
        case .fifo: bytes.append(UInt8(ascii: "p"))
        }
        bytes += mode.bigEndianBytes + entry.user.bigEndianBytes + entry.group.bigEndianBytes
        bytes += entry.modified.seconds.bigEndianBytes + entry.modified.nanoseconds.bigEndianBytes
        Self.append(entry.attributes, to: &bytes)
        switch entry.kind {
        case .file(let size): bytes += size.bigEndianBytes + (contents?.bytes ?? [])
        case .symbolicLink(let target): bytes += target
        case .characterDevice(let major, let minor), .blockDevice(let major, let minor):
            bytes += major.bigEndianBytes + minor.bigEndianBytes
        case .directory, .fifo, .hardLink: break
        }
        hash = Hash(of: bytes)
    }

    /// The record of a further name of an entry, whose own name has the hash `name`.
    static func link(to name: Hash) -> Hash { Hash(of: [UInt8(ascii: "h")] + name.bytes) }

    private static func append(_ attributes: [TreeEntry.Attribute], to bytes: inout [UInt8]) {
        let counted = attributes.filter { !$0.isHostBound }.sorted { $0.name.lexicographicallyPrecedes($1.name) }
        bytes += UInt32(counted.count).bigEndianBytes
        for attribute in counted {
            bytes += UInt32(attribute.name.count).bigEndianBytes + attribute.name
            bytes += UInt32(attribute.value.count).bigEndianBytes + attribute.value
        }
    }
}

extension FixedWidthInteger {
    /// The bytes, the most significant first.
    fileprivate var bigEndianBytes: [UInt8] { littleEndianBytes.reversed() }
}

extension TreeEntry {
    /// The directory that is made where a source has no entry for one.
    static func impliedDirectory(_ path: TreePath) -> TreeEntry { TreeEntry(path: path, kind: .directory, mode: 0o755) }
}
