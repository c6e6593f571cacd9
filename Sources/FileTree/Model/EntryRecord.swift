// SPDX-License-Identifier: Apache-2.0

import LXCCore
import OpenSSL

/// The canonical bytes of one entry, as Documentation/TreeDigest.md defines them.
struct EntryRecord {
    /// The line the manifest begins with; a change of any definition changes it.
    static let version = Array("lxc-tree-digest 1\n".utf8)

    let hash: Hash

    /// Creates an entry record from an entry, and for a file the hash of its contents.
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
        bytes.append(bigEndian: mode)
        bytes.append(bigEndian: entry.user)
        bytes.append(bigEndian: entry.group)
        bytes.append(bigEndian: entry.modified.seconds)
        bytes.append(bigEndian: entry.modified.nanoseconds)
        Self.append(entry.attributes, to: &bytes)
        switch entry.kind {
        case .file(let size):
            bytes.append(bigEndian: size)
            contents?.withUnsafeBytes { bytes += $0 }
        case .symbolicLink(let target): bytes += target
        case .characterDevice(let major, let minor), .blockDevice(let major, let minor):
            bytes.append(bigEndian: major)
            bytes.append(bigEndian: minor)
        case .directory, .fifo, .hardLink: break
        }
        hash = Hash(of: bytes)
    }

    /// The record of a further name of an entry whose own name has the hash `name`.
    static func link(to name: Hash) -> Hash { Hash(of: [UInt8(ascii: "h")] + name.bytes) }

    private static func append(_ attributes: [TreeEntry.Attribute], to bytes: inout [UInt8]) {
        bytes.append(bigEndian: UInt32(attributes.count))
        for attribute in attributes.sorted(by: { $0.name < $1.name }) {
            bytes.append(bigEndian: UInt32(attribute.name.bytes.count))
            bytes += attribute.name.bytes
            bytes.append(bigEndian: UInt32(attribute.value.count))
            bytes += attribute.value
        }
    }
}

extension [UInt8] {
    /// Appends a number's bytes, the most significant first.
    fileprivate mutating func append(bigEndian number: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: number.bigEndian) { append(contentsOf: $0) }
    }
}

extension TreeEntry {
    /// The directory that is made where a source has no entry for one.
    static func impliedDirectory(_ path: TreePath) -> TreeEntry { TreeEntry(path: path, kind: .directory, mode: 0o755) }

    /// The entry without the parts that a digest omits.
    func omitting(_ parts: Set<TreeDigest.Part>) -> TreeEntry {
        guard !parts.isEmpty else { return self }
        var entry = self
        if parts.contains(.attributes) { entry.attributes = [] }
        if parts.contains(.linkTimes), case .symbolicLink = kind { entry.modified = Timestamp(seconds: 0) }
        return entry
    }
}
