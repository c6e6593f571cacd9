// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore

/// One writing of a tar archive: ustar headers, and pax extended headers where those do not suffice.
///
/// The same entries make the same bytes. Tape records have 10,240 bytes, as tar programs make them.
final class TarWriter: TreeSink {
    private static let recordSize: UInt64 = 10_240
    private static let zeros = SharedBytes(copying: [UInt8](repeating: 0, count: 64 << 10))

    private let archive: ArchiveWriter
    private let isDurable: Bool
    private let maker = SharedBytes.Maker()
    private var headers = TarEntryEncoder()
    /// The path and the contents of the file in progress.
    private var file: (path: TreePath, contents: StoredContents)?

    /// Creates a writer of an archive that was just started; a durable one is on disk when it becomes visible.
    init(_ archive: ArchiveWriter, durable: Bool) {
        self.archive = archive
        isDurable = durable
    }

    let losses = TreeLosses()
    var strategy: String { "write" }

    func begin(_ entry: TreeEntry, isNew: Bool) throws {
        file = nil
        var contents: StoredContents?
        if case .file(let size) = entry.kind { contents = StoredContents(size: size, extents: entry.extents) }
        try headers.encode(entry, contents)
        try append(headers.bytes)
        file = contents.map { (entry.path, $0) }
    }

    func write(_ piece: TreePiece) throws {
        guard file != nil else { throw LXCError(.invalidState, "contents were given for an entry that is not a file") }
        let count = UInt64(piece.bytes.count)
        guard let gap = file?.contents.take(offset: piece.offset, count: count) else { throw changed() }
        try appendZeros(gap)
        try archive.append(piece.bytes)
    }

    func end() throws {
        guard let contents = file?.contents else { return }
        guard contents.isComplete else { throw changed() }
        file = nil
        try appendZeros(TarInput.padding(after: contents.count))
    }

    func finish() throws {
        try appendZeros(UInt64(2 * TarInput.blockSize))
        try appendZeros((Self.recordSize - archive.count % Self.recordSize) % Self.recordSize)
        try archive.finish(durable: isDurable)
    }

    func abandon() { archive.abandon() }

    private func append(_ bytes: [UInt8]) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let made = maker.make(upTo: rest.count) { room in
                rest.prefix(room.count).withUnsafeBytes { room.copyMemory(from: $0) }
                return min(room.count, rest.count)
            }
            rest = rest.dropFirst(made.count)
            try archive.append(made)
        }
    }

    private func appendZeros(_ count: UInt64) throws {
        var rest = count
        while rest > 0 {
            let zeros = Self.zeros.prefix(Int(clamping: rest))
            rest -= UInt64(zeros.count)
            try archive.append(zeros)
        }
    }

    private func changed() -> LXCError {
        let path = file?.path.description ?? ""
        return LXCError(
            .io, "the file \"\(path)\" changed while it was read; stop what writes to it and try again")
    }
}
