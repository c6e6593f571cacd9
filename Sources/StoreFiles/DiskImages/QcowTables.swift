// SPDX-License-Identifier: Apache-2.0

package import LXCCore

/// The location of a qcow2 image's tables according to its header.
package struct QcowLayout: Hashable, Sendable {
    /// A stretch of the file that holds a table.
    package struct Table: Hashable, Sendable {
        package var offset: UInt64
        /// Entries, clusters or bytes, by the header's field.
        package var count: UInt64
    }

    package var clusterBits: UInt64
    /// Whether entries of L2 tables have 16 bytes.
    package var hasExtendedEntries: Bool
    /// In entries.
    package var active: Table
    /// In clusters.
    package var references: Table
    /// In snapshots.
    package var snapshots: Table
    /// In bytes of the directory; nil where there are no bitmaps.
    package var bitmaps: Table?

    var clusterSize: UInt64 { 1 << clusterBits }
    var entrySize: UInt64 { hasExtendedEntries ? 16 : 8 }
    var entriesOfTable: UInt64 { clusterSize / entrySize }
}

extension QcowHeader {
    /// Reads every table of the image and requires that header and tables point inside the file. This distinguishes
    /// half a download from an image.
    ///
    /// Blocks. It reads each table once: far less than the image has, and never more than its size and some 100 MiB.
    ///
    /// - Parameters:
    ///   - file: the image this header was read from.
    ///   - image: the image's name in errors.
    ///   - cancellation: looked at before each piece.
    /// - Throws: `LXCError` `corrupt`, `limitExceeded` where its tables are larger than QEMU's own limits, `io`;
    ///   `CancellationError`.
    package func checkTables(of file: any OpenStoredFile, _ image: String, _ cancellation: Cancellation) throws {
        var check = QcowTableCheck(self, file, image, cancellation)
        try check.run()
    }
}

/// One check of one image.
private struct QcowTableCheck {
    /// QEMU's limits (`block/qcow2.h`), in bytes and pieces.
    private static let maximumActive: UInt64 = 32 << 20
    private static let maximumReferences: UInt64 = 8 << 20
    private static let maximumSnapshots: UInt64 = 65_536
    private static let maximumDirectory: UInt64 = 64 << 20
    /// The maximum number of entries of all first-level tables together, which is that of one of QEMU's largest. They
    /// are kept in memory.
    private static let maximumEntries: UInt64 = 4 << 20

    private static let offsetBits: UInt64 = 0x00FF_FFFF_FFFF_FE00
    private static let reservedOfFirst: UInt64 = 0x7F00_0000_0000_01FF
    private static let reservedOfSecond: UInt64 = 0x3F00_0000_0000_01FE
    private static let isCompressed: UInt64 = 1 << 62

    private let layout: QcowLayout
    private let virtualSize: UInt64
    private let image: String
    private let cancellation: Cancellation
    private let window: FileWindow
    private let size: UInt64
    private var entriesLeft = maximumEntries
    /// The positions of the second-level tables.
    private var tables: [UInt64] = []
    /// The table that contains the end of the disk, 0 for none.
    private var lastTable: UInt64 = 0

    init(_ header: QcowHeader, _ file: any OpenStoredFile, _ image: String, _ cancellation: Cancellation) {
        layout = header.layout
        virtualSize = header.virtualSize
        self.image = image
        self.cancellation = cancellation
        window = FileWindow(file)
        size = file.size
    }

    mutating func run() throws {
        try checkReferences()
        try checkActive()
        try checkSnapshots()
        try checkBitmaps()
        tables.sort()
        var previous: UInt64?
        for table in tables where table != previous {
            previous = table
            try checkSecond(table)
        }
    }

    // MARK: First level

    private mutating func checkReferences() throws {
        let table = layout.references
        guard table.count > 0, table.count <= Self.maximumReferences / min(layout.clusterSize, Self.maximumReferences)
        else { throw damaged("its refcount table has an impossible size") }
        let bytes = table.count * layout.clusterSize
        try require(table.offset, bytes, "its refcount table")
        try words(table.offset, bytes / 8) { _, entry in
            guard entry != 0 else { return }
            try require(entry, layout.clusterSize, "a refcount block")
        }
    }

    private mutating func checkActive() throws {
        let table = layout.active
        guard table.count <= Self.maximumActive / 8 else { throw excess("an L1 table") }
        let covered = layout.entriesOfTable * layout.clusterSize
        guard table.count >= (virtualSize - 1) / covered + 1 else {
            throw damaged("its L1 table is too small for its disk")
        }
        let last = (virtualSize - 1) / covered
        var lastTable: UInt64 = 0
        try addTables(table) { index, offset in if index == last { lastTable = offset } }
        self.lastTable = lastTable
    }

    /// Records the second-level tables that a first-level table points to.
    private mutating func addTables(
        _ table: QcowLayout.Table, _ note: (UInt64, UInt64) -> Void = { _, _ in }
    ) throws {
        try spend(table.count)
        guard table.count > 0 else { return }
        try require(table.offset, table.count * 8, "an L1 table")
        var found: [UInt64] = []
        try words(table.offset, table.count) { index, entry in
            guard entry & Self.reservedOfFirst == 0 else { throw damaged("an entry of an L1 table makes no sense") }
            let offset = entry & Self.offsetBits
            guard offset != 0 else { return }
            try require(offset, layout.clusterSize, "an L2 table")
            found.append(offset)
            note(index, offset)
        }
        tables += found
    }

    private mutating func checkSnapshots() throws {
        let table = layout.snapshots
        guard table.count > 0 else { return }
        guard table.count <= Self.maximumSnapshots else { throw excess("a snapshot table") }
        try requireAligned(table.offset, "its snapshot table")
        var position = table.offset
        for _ in 0..<table.count {
            try requireInside(position, 40, "its snapshot table")
            let place = QcowLayout.Table(offset: try number(position, 8), count: try number(position + 8, 4))
            let names = try number(position + 12, 2) + number(position + 14, 2)
            // The id, the name and what later versions say, filled up to a multiple of eight.
            let length = (40 + names + (try number(position + 36, 4)) + 7) / 8 * 8
            try requireInside(position, length, "its snapshot table")
            position += length
            guard position - table.offset <= Self.maximumDirectory else { throw excess("a snapshot table") }
            guard place.count <= Self.maximumActive / 8 else { throw excess("an L1 table") }
            try addTables(place)
        }
    }

    private mutating func checkBitmaps() throws {
        guard let directory = layout.bitmaps, directory.count > 0 else { return }
        guard directory.count <= Self.maximumDirectory else { throw excess("a directory of bitmaps") }
        try require(directory.offset, directory.count, "its directory of bitmaps")
        var position = directory.offset
        let end = directory.offset + directory.count
        while position < end {
            guard end - position >= 24 else { throw damaged("its directory of bitmaps makes no sense") }
            let (offset, count) = (try number(position, 8), try number(position + 8, 4))
            let length = (24 + (try number(position + 18, 2)) + (try number(position + 20, 4)) + 7) / 8 * 8
            guard length <= end - position else { throw damaged("its directory of bitmaps makes no sense") }
            position += length
            try spend(count)
            try require(offset, count * 8, "a table of a bitmap")
            try words(offset, count) { _, entry in
                let cluster = entry & Self.offsetBits
                if cluster != 0 { try require(cluster, layout.clusterSize, "a cluster of a bitmap") }
            }
        }
    }

    // MARK: Second level

    private func checkSecond(_ table: UInt64) throws {
        try cancellation.check()
        let words = layout.entrySize / 8
        // Of the disk's last cluster no more is there than the disk has.
        let tail = (virtualSize - 1) % layout.clusterSize + 1
        let tailIndex = (virtualSize - 1) / layout.clusterSize % layout.entriesOfTable
        var entry: UInt64 = 0
        try self.words(table, layout.clusterSize / 8) { index, word in
            guard words == 2 else {
                let isLast = table == lastTable && index == tailIndex
                return try checkCluster(word, isLast ? tail : layout.clusterSize)
            }
            guard index % 2 == 1 else {
                entry = word
                return
            }
            let isLast = table == lastTable && index / 2 == tailIndex
            // The lower half has a bit for each 32nd of the cluster that is there.
            let present = UInt64(32 - UInt32(truncatingIfNeeded: word).leadingZeroBitCount) * (layout.clusterSize / 32)
            try checkCluster(entry, isLast ? min(tail, present) : present)
        }
    }

    private func checkCluster(_ entry: UInt64, _ length: UInt64) throws {
        guard entry != 0 else { return }
        if entry & Self.isCompressed != 0 { return try checkCompressed(entry) }
        guard entry & Self.reservedOfSecond == 0 else { throw damaged("an entry of an L2 table makes no sense") }
        let offset = entry & Self.offsetBits
        guard offset != 0 else { return }
        try requireAligned(offset, "a cluster")
        try requireInside(offset, length, "a cluster", upTo: roundedSize)
    }

    private func checkCompressed(_ entry: UInt64) throws {
        let shift = 62 - (layout.clusterBits - 8)
        let offset = entry & (1 << shift - 1)
        let sectors = entry >> shift & (1 << (layout.clusterBits - 8) - 1) + 1
        try requireInside(offset / 512 * 512, sectors * 512, "a compressed cluster", upTo: roundedSize)
    }

    /// Clusters are counted in sectors, and the last of the file may lack zeros at its end.
    private var roundedSize: UInt64 { (size + 511) / 512 * 512 }

    // MARK: Reading

    private func words(_ offset: UInt64, _ count: UInt64, _ body: (UInt64, UInt64) throws -> Void) throws {
        var index: UInt64 = 0
        while index < count {
            try cancellation.check()
            let piece = min(count - index, UInt64(FileWindow.capacity) / 8)
            let bytes = try window.bytes(offset + index * 8, Int(piece) * 8)
            guard bytes.count == Int(piece) * 8 else { throw outside("a table", offset) }
            for place in 0..<Int(piece) {
                let word = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: place * 8, as: UInt64.self))
                try body(index + UInt64(place), word)
            }
            index += piece
        }
    }

    private func number(_ offset: UInt64, _ length: Int) throws -> UInt64 {
        let bytes = try window.bytes(offset, length)
        guard bytes.count == length else { throw outside("a table", offset) }
        return bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }

    // MARK: Refusals

    private mutating func spend(_ entries: UInt64) throws {
        guard entries <= entriesLeft else { throw excess("first-level tables") }
        entriesLeft -= entries
    }

    /// A stretch that begins at a cluster.
    private func require(_ offset: UInt64, _ count: UInt64, _ what: String) throws {
        try requireAligned(offset, what)
        try requireInside(offset, count, what)
    }

    private func requireAligned(_ offset: UInt64, _ what: String) throws {
        guard offset != 0, offset % layout.clusterSize == 0 else { throw damaged("\(what) is at an impossible place") }
    }

    private func requireInside(
        _ offset: UInt64, _ count: UInt64, _ what: String, upTo end: UInt64? = nil
    ) throws {
        let sum = offset.addingReportingOverflow(count)
        guard !sum.overflow, sum.partialValue <= end ?? size else { throw outside(what, offset) }
    }

    private func outside(_ what: String, _ offset: UInt64) -> LXCError {
        damaged("\(what) at byte \(offset) is not inside of its \(size) bytes, as in part of a download")
    }

    private func damaged(_ what: String) -> LXCError {
        LXCError(.corrupt, "\(image) is a damaged qcow2 image: \(what); get it again, or repair it with qemu-img check")
    }

    private func excess(_ what: String) -> LXCError {
        LXCError(
            .limitExceeded,
            "\(image) has \(what) larger than an image for use has; make it anew with qemu-img convert")
    }
}

/// A file read in pieces, of which the last is kept. Used by one thread.
private final class FileWindow {
    static let capacity = 1 << 20
    /// Neighbours are mostly read next.
    private static let leastRead = 64 << 10

    private let file: any OpenStoredFile
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 4_096)
    private var start: UInt64 = 0
    private var count = 0

    init(_ file: any OpenStoredFile) { self.file = file }

    deinit { buffer.deallocate() }

    /// Up to `length` bytes, at most ``capacity``; fewer where the file ends. They are valid until the next call.
    func bytes(_ offset: UInt64, _ length: Int) throws -> UnsafeRawBufferPointer {
        if offset < start || offset + UInt64(length) > start + UInt64(count) { try load(offset, length) }
        let first = Int(offset - start)
        return UnsafeRawBufferPointer(rebasing: buffer[first..<min(first + length, max(count, first))])
    }

    private func load(_ offset: UInt64, _ length: Int) throws {
        (start, count) = (offset, 0)
        let wanted = max(length, Self.leastRead)
        while count < wanted {
            let room = UnsafeMutableRawBufferPointer(rebasing: buffer[count..<wanted])
            let read = try file.read(into: room, at: offset + UInt64(count))
            if read == 0 { break }
            count += read
        }
    }
}
