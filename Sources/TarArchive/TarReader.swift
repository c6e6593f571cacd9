import FileTree
import LXCCore

/// One reading of a tar archive: v7, ustar, pax, star and GNU tar, told apart header by header.
final class TarReader: TreeSource {
    /// Extended headers in a row; real archives have three at most.
    private static let maximumExtensions = 32
    /// Records that hold for all entries; they are looked through for each. Real archives have a few.
    private static let maximumGlobalRecords = 100

    private let input: TarInput
    private let size: UInt64
    private let limits: TreeLimits
    private var global = PaxRecords()
    private var isAtEnd = false
    /// Bytes of the entry's data that are still in the archive, its padding not counted, and the padding.
    private var stored: UInt64 = 0
    private var padding: UInt64 = 0
    private var extents: ArraySlice<SparseMap.Extent> = []
    /// Whether the entry's file is stored without its holes.
    private var isSparse = false
    private(set) var losses = TreeLosses()

    /// Takes an open archive.
    init(_ archive: ArchiveFile, shown: String, limits: TreeLimits) {
        input = TarInput(archive.stream, shown: shown, expansionRatio: limits.expansionRatio)
        size = archive.size
        self.limits = limits
    }

    var position: (read: UInt64, total: UInt64?) { (input.bytesRead, size) }

    func next() throws -> TreeEntry? {
        guard !isAtEnd else { return nil }
        try skipRest()
        var extensions = TarExtensions(global)
        for _ in 0...Self.maximumExtensions {
            let block = try input.block()
            guard let block else { throw input.damage("it ends without an end-of-archive marker") }
            if block.withUnsafeBytes({ $0.isZero }) {
                guard extensions.isEmpty else { throw input.damage("it ends after an extended header") }
                try input.finish()
                isAtEnd = true
                return nil
            }
            guard let header = TarHeader(block) else { throw input.damage("a header's checksum does not match") }
            if try !extend(&extensions, by: header) { return try entry(header, extensions) }
        }
        throw input.excess("there are more than \(Self.maximumExtensions) extended headers in a row")
    }

    func nextPiece() throws -> TreePiece? {
        guard let extent = extents.first else { return nil }
        let bytes = try input.piece(upTo: extent.count)
        let count = UInt64(bytes.count)
        stored -= count
        extents[extents.startIndex].offset += count
        extents[extents.startIndex].count -= count
        if extent.count == count { extents.removeFirst() }
        return TreePiece(offset: extent.offset, bytes: bytes)
    }

    private func skipRest() throws {
        try input.skip(stored + padding)
        stored = 0
        padding = 0
        extents = []
        isSparse = false
    }

    /// Takes a header that says something of the entry after it; false when this is the entry.
    private func extend(_ extensions: inout TarExtensions, by header: TarHeader) throws -> Bool {
        switch header.type {
        case UInt8(ascii: "x"), UInt8(ascii: "X"):
            guard extensions.own.merge(try contents(of: header)) else { throw malformed() }
        case UInt8(ascii: "g"):
            guard global.merge(try contents(of: header)) else { throw malformed() }
            global.compact()
            guard global.count <= Self.maximumGlobalRecords else {
                throw input.excess("more than \(Self.maximumGlobalRecords) records are said of all its entries")
            }
            for keyword in ["path", "linkpath", "size"] as [StaticString] where global[keyword] != nil {
                throw input.damage("a global header gives every entry the same \(keyword)")
            }
            extensions.global = global
        case UInt8(ascii: "L"): extensions.longName = Array(try contents(of: header).prefix { $0 != 0 })
        case UInt8(ascii: "K"): extensions.longLinkName = Array(try contents(of: header).prefix { $0 != 0 })
        case UInt8(ascii: "V"): _ = try contents(of: header)
        case UInt8(ascii: "A"):
            _ = try contents(of: header)
            extensions.losses.append("acl")
        default: return false
        }
        return true
    }

    private func malformed() -> LXCError { input.damage("an extended header is malformed") }

    /// The data of an extended header. libarchive writes attributes twice, once in base64.
    private func contents(of header: TarHeader) throws -> [UInt8] {
        guard let size = header.size, size >= 0 else { throw input.damage("a header has no size") }
        let maximum = 3 * limits.attributeBytes + limits.pathLength + limits.linkTargetLength + 65_536
        guard size <= maximum else {
            throw LXCError(
                .limitExceeded, "an extended header has \(size) bytes, more than \(maximum) (attributeBytes)")
        }
        return try input.bytes(Int(size))
    }
}

// MARK: - Entries

extension TarReader {
    private func entry(_ header: TarHeader, _ extensions: TarExtensions) throws -> TreeEntry {
        let records = extensions.records
        let name = extensions.name(header, records)
        guard let archived = records.number("size", orElse: header.size), archived >= 0 else {
            throw input.damage("the size of \"\(String(escapingForDisplay: name))\" is no number")
        }
        let path = try TreePath(name)
        let linkName = { extensions.linkName(header, records) }
        let kind = try kind(header, records, name, linkName, path, UInt64(archived))
        let (attributes, losses) = records.attributes(of: kind)
        for loss in losses + extensions.losses { self.losses.add(loss, path) }
        return TreeEntry(
            path: path, kind: kind, mode: try mode(header, path),
            user: try id(records.number("uid", orElse: header.user), "user", path),
            group: try id(records.number("gid", orElse: header.group), "group", path),
            modified: try modified(header, records, path), attributes: attributes, extents: holedExtents)
    }

    /// The stretches of a sparse file that are stored.
    private var holedExtents: [Range<UInt64>]? {
        isSparse ? extents.map { $0.offset..<($0.offset + $0.count) } : nil
    }

    private func kind(
        _ header: TarHeader, _ records: PaxRecords, _ name: [UInt8], _ linkName: () -> [UInt8], _ path: TreePath,
        _ archived: UInt64
    ) throws -> TreeEntry.Kind {
        switch header.type {
        case 0, UInt8(ascii: "0"), UInt8(ascii: "7"):
            // Before there was a letter for directories they had a slash at their end.
            guard name.last != UInt8(ascii: "/") else { break }
            return .file(size: try startFile(records, archived, path))
        case UInt8(ascii: "S"):
            return .file(size: try startOldSparse(header, archived, path))
        case UInt8(ascii: "D"):
            // GNU's incremental directories carry a list of names as data.
            expect(archived)
            return .directory
        default: break
        }
        try discardStrayData(archived)
        switch header.type {
        case UInt8(ascii: "1"): return .hardLink(to: try TreePath(linkName()))
        case UInt8(ascii: "2"): return .symbolicLink(target: try linkTarget(linkName(), path))
        case UInt8(ascii: "3"):
            let (major, minor) = try device(header, records, path)
            return .characterDevice(major: major, minor: minor)
        case UInt8(ascii: "4"):
            let (major, minor) = try device(header, records, path)
            return .blockDevice(major: major, minor: minor)
        case UInt8(ascii: "5"), 0, UInt8(ascii: "0"), UInt8(ascii: "7"): return .directory
        case UInt8(ascii: "6"): return .fifo
        default:
            let letter = String(escapingForDisplay: [header.type])
            throw LXCError(.unsupported, "\"\(path)\" is of a kind tar does not define (\"\(letter)\"); refused")
        }
    }

    private func startFile(_ records: PaxRecords, _ archived: UInt64, _ path: TreePath) throws -> UInt64 {
        expect(archived)
        // Formats 0.0 and 0.1 came before there was a number to tell them by; some writers give it all the same.
        if let major = records.text("GNU.sparse.major"), major != "0" {
            guard major == "1", records.text("GNU.sparse.minor") ?? "0" == "0" else {
                throw LXCError(.unsupported, "\"\(path)\" is stored in an unknown sparse format")
            }
            let (extents, bytes) = try input.newSparseMap()
            guard bytes <= stored else { throw sparseDamage(path) }
            stored -= bytes
            return try startSparse(extents, realSize: records.size("GNU.sparse.realsize"), path)
        }
        if records["GNU.sparse.size"] != nil {
            let map = records.text("GNU.sparse.map").map { $0.split(separator: ",").map { UInt64($0) } }
            let numbers = map ?? records.sparseNumbers.map { $0 }
            guard let extents = SparseMap.extents(pairing: numbers.compactMap { $0 }), !numbers.contains(nil) else {
                throw sparseDamage(path)
            }
            return try startSparse(extents, realSize: records.size("GNU.sparse.size"), path)
        }
        extents = archived > 0 ? [SparseMap.Extent(offset: 0, count: archived)] : []
        return archived
    }

    private func startOldSparse(_ header: TarHeader, _ archived: UInt64, _ path: TreePath) throws -> UInt64 {
        guard header.dialect == .gnu else {
            throw LXCError(.unsupported, "\"\(path)\" is stored in an unknown sparse format")
        }
        let extents = try input.oldSparseMap(header)
        expect(archived)
        return try startSparse(extents, realSize: header.realSize.flatMap { UInt64(exactly: $0) }, path)
    }

    private func startSparse(_ map: [SparseMap.Extent], realSize: UInt64?, _ path: TreePath) throws -> UInt64 {
        guard let realSize, let map = SparseMap(map, size: realSize, stored: stored) else { throw sparseDamage(path) }
        extents = map.extents[...]
        isSparse = true
        return realSize
    }

    private func sparseDamage(_ path: TreePath) -> LXCError { input.damage("the sparse map of \"\(path)\" is wrong") }

    /// Notes that `count` bytes of data follow.
    private func expect(_ count: UInt64) {
        stored = count
        padding = TarInput.padding(after: count)
    }

    /// Writers differ on whether a size in the header of what has no contents means that data follows: hard links of
    /// old tar repeat the file's size without data, those of pax may carry it. A valid header, or the end of the
    /// archive, in the next block tells that there is none.
    private func discardStrayData(_ count: UInt64) throws {
        guard count > 0 else { return }
        guard let block = try input.peekBlock() else { return }
        if !block.withUnsafeBytes({ $0.isZero }), TarHeader(block) == nil { expect(count) }
    }

    private func linkTarget(_ target: [UInt8], _ path: TreePath) throws -> [UInt8] {
        guard !target.isEmpty else { throw input.damage("the symbolic link \"\(path)\" leads to nothing") }
        guard !target.contains(0) else {
            throw LXCError(.unsafe, "the symbolic link \"\(path)\" has a target with a NUL; refused")
        }
        return target
    }

    private func mode(_ header: TarHeader, _ path: TreePath) throws -> UInt16 {
        guard let mode = header.mode else { throw input.damage("the mode of \"\(path)\" is no number") }
        return UInt16(mode & 0o7777)
    }

    private func id(_ id: Int64?, _ what: String, _ path: TreePath) throws -> UInt32 {
        guard let id else { throw input.damage("the \(what) of \"\(path)\" is no number") }
        // Cut to 32 bits some would be root's; the largest one means "leave the owner as it is" to the kernel.
        guard let exact = UInt32(exactly: id), exact != .max else {
            throw LXCError(.unsafe, "\"\(path)\" has the \(what) id \(id), which no file can have; refused")
        }
        return exact
    }

    private func modified(_ header: TarHeader, _ records: PaxRecords, _ path: TreePath) throws -> TreeEntry.Time {
        let time =
            records["mtime"].map { PaxRecords.time($0) } ?? header.modified.map { TreeEntry.Time(seconds: $0) }
        guard let time else { throw input.damage("the time of \"\(path)\" is no number") }
        return time
    }

    private func device(
        _ header: TarHeader, _ records: PaxRecords, _ path: TreePath
    ) throws -> (major: UInt32, minor: UInt32) {
        let major = records.number("SCHILY.devmajor", orElse: header.major)
        let minor = records.number("SCHILY.devminor", orElse: header.minor)
        // Linux has 12 bits for the one and 20 for the other.
        guard let major, let minor, (0..<1 << 12).contains(major), (0..<1 << 20).contains(minor) else {
            throw input.damage("the device numbers of \"\(path)\" are none Linux has")
        }
        return (UInt32(major), UInt32(minor))
    }
}
