// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore

/// Makes what stands before an entry's contents: the header, before it a pax header where one is needed, after it the
/// map of a sparse file.
///
/// Its memory serves one entry after the other.
struct TarEntryEncoder {
    /// The file's name for readers that lack GNU's sparse format.
    private static let sparseName = Array("GNUSparseFile.0".utf8)
    private static let paxName = Array("././@PaxHeader".utf8)

    /// The blocks of the entry encoded last.
    private(set) var bytes: [UInt8] = []
    private var map: [UInt8] = []
    private var records = PaxWriter()

    /// Makes the bytes for an entry; of a file with `contents`.
    ///
    /// - Throws: `LXCError` `unsupported` for device numbers no tar archive can hold.
    mutating func encode(_ entry: TreeEntry, _ contents: StoredContents?) throws {
        bytes.removeAll(keepingCapacity: true)
        map.removeAll(keepingCapacity: true)
        records.removeAll()
        contents?.appendMap(to: &map)
        let name = Self.name(of: entry)
        let link = Self.linkName(of: entry.kind)
        var header = try Self.header(entry)
        header.size = contents.map { $0.count + UInt64(map.count) } ?? 0
        let isSparse = contents?.isSparse ?? false
        let split = isSparse ? nil : TarHeaderBlock.split(name)
        addRecords(entry, header, isSparse: isSparse, name: split == nil ? name : nil, link: link)
        appendPaxHeader()
        if isSparse {
            header.append(name: Self.sparseName[...], to: &bytes)
        } else {
            header.append(name: split?.name ?? name[...], prefix: split?.prefix ?? [], linkName: link[...], to: &bytes)
        }
        bytes.append(contentsOf: map)
    }

    /// Adds the data that does not fit the header, in ascending order of the keywords.
    private mutating func addRecords(
        _ entry: TreeEntry, _ header: TarHeaderBlock, isSparse: Bool, name: [UInt8]?, link: [UInt8]
    ) {
        let longLink = link.count > TarHeaderBlock.nameLength ? link : nil
        // Without it readers may convert names, and bsdtar composes accents. It holds for what comes after it.
        if Self.isBeyondASCII(name) || Self.isBeyondASCII(longLink) { records.add("hdrcharset", "BINARY") }
        if isSparse, let name, case .file(let size) = entry.kind {
            records.add("GNU.sparse.major", 1)
            records.add("GNU.sparse.minor", 0)
            records.add("GNU.sparse.name".utf8, name)
            records.add("GNU.sparse.realsize", size)
        }
        // A further name of a file has nothing of its own.
        if case .hardLink = entry.kind {} else { records.add(entry.attributes) }
        if UInt64(entry.group) > TarHeaderBlock.maximumShort { records.add("gid", UInt64(entry.group)) }
        if let longLink { records.add("linkpath".utf8, longLink) }
        if entry.modified.nanoseconds > 0 || entry.modified.seconds != header.modified {
            records.add("mtime", entry.modified)
        }
        if !isSparse, let name { records.add("path".utf8, name) }
        if header.size > TarHeaderBlock.maximumLong { records.add("size", header.size) }
        if UInt64(entry.user) > TarHeaderBlock.maximumShort { records.add("uid", UInt64(entry.user)) }
    }

    private mutating func appendPaxHeader() {
        guard !records.isEmpty else { return }
        let header = TarHeaderBlock(type: UInt8(ascii: "x"), mode: 0o644, size: UInt64(records.bytes.count))
        header.append(name: Self.paxName[...], to: &bytes)
        bytes.append(contentsOf: records.bytes)
        let padding = TarInput.padding(after: UInt64(records.bytes.count))
        bytes.append(contentsOf: repeatElement(0, count: Int(padding)))
    }

    private static func header(_ entry: TreeEntry) throws -> TarHeaderBlock {
        var header = TarHeaderBlock(type: type(of: entry.kind), mode: entry.mode & 0o7777)
        header.user = entry.user
        header.group = entry.group
        header.modified = min(UInt64(clamping: entry.modified.seconds), TarHeaderBlock.maximumLong)
        switch entry.kind {
        case .symbolicLink: header.mode = 0o777
        case .characterDevice(let major, let minor), .blockDevice(let major, let minor):
            guard UInt64(max(major, minor)) <= TarHeaderBlock.maximumShort else {
                throw LXCError(
                    .unsupported, "\"\(entry.path)\" has device numbers no tar archive can hold (\(major), \(minor))")
            }
            header.device = (major, minor)
        case .directory, .file, .hardLink, .fifo: break
        }
        return header
    }

    private static func type(of kind: TreeEntry.Kind) -> UInt8 {
        switch kind {
        case .file: UInt8(ascii: "0")
        case .hardLink: UInt8(ascii: "1")
        case .symbolicLink: UInt8(ascii: "2")
        case .characterDevice: UInt8(ascii: "3")
        case .blockDevice: UInt8(ascii: "4")
        case .directory: UInt8(ascii: "5")
        case .fifo: UInt8(ascii: "6")
        }
    }

    private static func name(of entry: TreeEntry) -> [UInt8] {
        if entry.path.isRoot { return Array("./".utf8) }
        return entry.kind == .directory ? entry.path.bytes + CollectionOfOne(UInt8(ascii: "/")) : entry.path.bytes
    }

    private static func isBeyondASCII(_ text: [UInt8]?) -> Bool { text?.contains { $0 >= 0x80 } ?? false }

    private static func linkName(of kind: TreeEntry.Kind) -> [UInt8] {
        switch kind {
        case .symbolicLink(let target): target
        case .hardLink(let target): target.bytes
        default: []
        }
    }
}
