// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore

/// One reading of a tar archive: v7, ustar, pax, star and GNU tar, told apart header by header.
final class TarReader: TreeSource {
    /// Extended headers in a row; real archives have three at most.
    private static let maximumExtensions = 32
    /// Records that hold for all entries; they are looked through for each. Real archives have a few.
    private static let maximumGlobalRecords = 100

    let input: TarInput
    private let size: UInt64
    private let limits: TreeLimits
    private var global = PaxRecords()
    /// Whether the archive is in the pax format, as libarchive would say at this point.
    private var isPax = false
    private var isAtEnd = false
    /// Bytes of the entry's data that are still in the archive, its padding not counted, and the padding.
    private var stored: UInt64 = 0
    private var padding: UInt64 = 0
    private var extents: ArraySlice<SparseMap.Extent> = []
    /// Whether the entry's file is stored without its holes.
    private var isSparse = false
    private(set) var losses = TreeLosses()

    /// Creates a reader of an open archive.
    init(_ archive: ArchiveFile, shown: String, limits: TreeLimits) {
        input = TarInput(archive.stream, shown: shown, limits: limits)
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
            if try extend(&extensions, by: header) { continue }
            if header.dialect == .gnu || header.dialect == .v7 { isPax = false }
            return try entry(header, extensions)
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

    /// Reads a header that describes the entry after it; `false` if this is the entry itself.
    private func extend(_ extensions: inout TarExtensions, by header: TarHeader) throws -> Bool {
        switch header.type {
        case UInt8(ascii: "x"), UInt8(ascii: "X"):
            isPax = true
            extensions.isEmpty = false
            extensions.own = PaxRecords()
            guard extensions.own.merge(try contents(of: header, &extensions)) else { throw malformed() }
        case UInt8(ascii: "g"):
            isPax = true
            try extendAll(by: contents(of: header, &extensions))
            extensions.global = global
        case UInt8(ascii: "L"):
            extensions.isEmpty = false
            extensions.longName = Array(try contents(of: header, &extensions).prefix { $0 != 0 })
        case UInt8(ascii: "K"):
            extensions.isEmpty = false
            extensions.longLinkName = Array(try contents(of: header, &extensions).prefix { $0 != 0 })
        case UInt8(ascii: "V"):
            // GNU tar applies the preceding headers to the label, libarchive to the next entry.
            guard extensions.isEmpty else { throw input.damage("an extended header stands before a volume's label") }
            _ = try contents(of: header, &extensions)
        case UInt8(ascii: "A"):
            _ = try contents(of: header, &extensions)
            extensions.losses.append("acl")
        default: return false
        }
        return true
    }

    /// Reads records that apply to all following entries.
    private func extendAll(by header: [UInt8]) throws {
        guard global.merge(header) else { throw malformed() }
        global.compact()
        guard global.count <= Self.maximumGlobalRecords, global.byteCount <= maximumExtension else {
            throw input.excess(
                "more than \(Self.maximumGlobalRecords) records, or \(maximumExtension) bytes, are said of all its entries"
            )
        }
        for keyword in ["path", "linkpath", "size"] as [StaticString] where global[keyword] != nil {
            throw input.damage("a global header gives every entry the same \(keyword)")
        }
        guard global.sparseNumbers.isEmpty else { throw input.damage("a global header holds a sparse map") }
    }

    private func malformed() -> LXCError { input.damage("an extended header is malformed") }

    /// The maximum total size of one entry's extended headers in bytes. libarchive writes attributes twice, once in
    /// base64.
    private var maximumExtension: Int {
        let (attributes, overflows) = limits.attributeBytes.multipliedReportingOverflow(by: 3)
        let names = limits.pathLength.addingReportingOverflow(limits.linkTargetLength + 65_536)
        return overflows || names.overflow ? .max : Int(clamping: UInt64(attributes) + UInt64(names.partialValue))
    }

    /// The data of an extended header.
    private func contents(of header: TarHeader, _ extensions: inout TarExtensions) throws -> [UInt8] {
        guard let size = header.size, size >= 0 else { throw input.damage("a header has no size") }
        guard size <= maximumExtension - extensions.bytes else {
            throw LXCError(
                .limitExceeded,
                "an entry has extended headers of more than \(maximumExtension) bytes (limit attributeBytes)")
        }
        extensions.bytes += Int(size)
        return try input.bytes(Int(size))
    }
}

// MARK: - Entries

extension TarReader {
    private func entry(_ header: TarHeader, _ extensions: TarExtensions) throws -> TreeEntry {
        let records = extensions.records
        let name = extensions.name(header, records)
        guard let archived = records.number("size", orElse: header.size), archived >= 0 else {
            throw input.damage("the size of \"\(String(escapingForDisplay: name))\" is not a number")
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
        try settleData(of: header, records, archived, path)
        switch header.type {
        case UInt8(ascii: "1"): return .hardLink(to: try hardLinkTarget(linkName()))
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
        // Formats 0.0 and 0.1 precede the version record; some writers add it nevertheless.
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
            let listed = records["GNU.sparse.map"].map { SparseMap.extents(listed: $0) }
            guard let extents = listed ?? SparseMap.extents(pairing: records.sparseNumbers) else {
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

    /// Writers and readers differ on whether a size in the header of an entry without contents means that data follows.
    /// Where GNU tar and libarchive would find the next entry at different places, an archive shows one tree to a
    /// program that checks it and another to one that unpacks it: such an archive is refused.
    private func settleData(of header: TarHeader, _ records: PaxRecords, _ count: UInt64, _ path: TreePath) throws {
        guard count > 0 else { return }
        let isLink = header.type == UInt8(ascii: "1")
        let isDirectory = header.type == UInt8(ascii: "5")
        if records["size"] != nil {
            // A pax header's size holds for both, but for directories, and in archives that are not in its format.
            guard !isDirectory, header.dialect == .posix || header.dialect == .star else { throw disagreement(path) }
            return expect(count)
        }
        // Both ignore a directory's size.
        if isDirectory { return }
        guard isLink else { throw disagreement(path) }
        // Hard links of old tar repeat the file's size without data, and both know that.
        if header.dialect == .gnu || header.dialect == .v7 { return }
        // Those of pax may carry data, and GNU tar does not know that.
        guard !isPax else { throw disagreement(path) }
        guard let block = try input.peekBlock() else { return }
        let isEnd = block.withUnsafeBytes { $0.isZero }
        guard isEnd || TarHeader(block).map({ $0.dialect != .v7 }) == true else { throw disagreement(path) }
    }

    private func disagreement(_ path: TreePath) -> LXCError {
        input.damage(
            "\"\(path)\" has a size although its kind has no contents, and tar programs differ on where the next entry "
                + "begins")
    }
}
