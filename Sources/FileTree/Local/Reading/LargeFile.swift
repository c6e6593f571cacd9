// SPDX-License-Identifier: Apache-2.0

import LXCCore
import LinuxSystem
import Synchronization

/// A file whose pieces several threads write; the last thread completes it.
final class LargeFile: Sendable {
    private let entry: TreeEntry
    private let size: UInt64
    private let mode: UInt16?
    private let descriptor: Descriptor
    /// The end of the contents written so far.
    private let written = Mutex<UInt64>(0)
    /// Pieces that are not written yet, and one for those to come.
    private let unfinished = Atomic(1)

    /// Makes the file.
    init(_ entry: TreeEntry, size: UInt64, _ writer: EntryWriter) throws {
        self.entry = entry
        self.size = size
        let directory = try writer.enterParent(of: entry.path)
        let made = try withCString(entry.path.name) { try writer.makeFile(entry, $0, in: directory) }
        descriptor = Descriptor(adopting: made.descriptor)
        mode = made.mode
    }

    /// Announces a piece.
    func willWrite() { unfinished.add(1, ordering: .relaxed) }

    /// Writes a piece that was announced.
    func write(_ piece: TreePiece) throws {
        try Descriptor.write(piece, of: entry.path, to: descriptor.raw)
        let end = piece.offset + UInt64(piece.bytes.count)
        written.withLock { $0 = max($0, end) }
    }

    /// Reports that an announced piece is written, or that no more follow.
    func didWrite(_ writer: EntryWriter) throws {
        guard unfinished.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 else { return }
        if written.withLock({ $0 }) < size { try Descriptor.extend(descriptor.raw, to: size, of: entry.path) }
        try writer.apply(entry, to: descriptor.raw, made: mode)
    }
}
