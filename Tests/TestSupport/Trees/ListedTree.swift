// SPDX-License-Identifier: Apache-2.0

package import FileTree
import LXCCore

/// An entry with its contents, as a test compares it.
package struct ReadEntry: Equatable, Sendable {
    /// What it is.
    package var entry: TreeEntry
    /// Its contents, where it is a file.
    package var pieces: [Piece] = []

    /// A stretch of contents.
    package struct Piece: Equatable, Sendable {
        package var offset: UInt64
        package var bytes: [UInt8]

        package init(offset: UInt64, bytes: [UInt8]) {
            self.offset = offset
            self.bytes = bytes
        }
    }

    /// Takes both.
    package init(entry: TreeEntry, pieces: [Piece] = []) {
        self.entry = entry
        self.pieces = pieces
    }

    /// Adds a piece, joined to the one before where it adjoins: how contents are cut is the source's own business.
    package mutating func add(_ bytes: [UInt8], at offset: UInt64) {
        if let last = pieces.last, last.offset + UInt64(last.bytes.count) == offset {
            pieces[pieces.count - 1].bytes += bytes
        } else {
            pieces.append(Piece(offset: offset, bytes: bytes))
        }
    }

    package var path: String { entry.path.description }
    /// The contents without their holes.
    package var bytes: [UInt8] { pieces.flatMap(\.bytes) }
    /// The attributes by name.
    package var attributes: [String: [UInt8]] {
        Dictionary(
            uniqueKeysWithValues: entry.attributes.map { (String(decoding: $0.name.bytes, as: UTF8.self), $0.value) })
    }
}

/// A tree given as a list of entries with their contents, also such as no file system has.
package struct ListedTree: TreeOrigin {
    package var nodes: [ReadEntry] = []
    /// Called before an entry is read.
    package var beforeEntry: @Sendable (Int) throws -> Void = { _ in }
    package var description: String { "a tree in a list" }

    /// Takes entries, the root among them.
    package init(_ nodes: [ReadEntry] = [ReadEntry(entry: TreeEntry(path: .root, kind: .directory, mode: 0o755))]) {
        self.nodes = nodes
    }

    /// Adds a file with pieces of contents at offsets.
    package mutating func add(
        _ path: String, size: UInt64, extents: [Range<UInt64>]? = nil, _ pieces: [(offset: UInt64, bytes: [UInt8])]
    ) throws {
        let entry = TreeEntry(path: try TreePath(path), kind: .file(size: size), mode: 0o644, extents: extents)
        let parts = pieces.map { ReadEntry.Piece(offset: $0.offset, bytes: $0.bytes) }
        nodes.append(ReadEntry(entry: entry, pieces: parts))
    }

    package func openForReading(_ opening: TreeOpening) throws -> any TreeSource { Source(self) }

    private final class Source: TreeSource {
        private let tree: ListedTree
        private var index = 0
        private var pieces: ArraySlice<ReadEntry.Piece> = []
        let losses = TreeLosses()

        init(_ tree: ListedTree) { self.tree = tree }

        var position: (read: UInt64, total: UInt64?) { (1 << 40, nil) }

        func next() throws -> TreeEntry? {
            guard index < tree.nodes.count else { return nil }
            try tree.beforeEntry(index)
            pieces = tree.nodes[index].pieces[...]
            index += 1
            return tree.nodes[index - 1].entry
        }

        func nextPiece() throws -> TreePiece? {
            pieces.popFirst().map { TreePiece(offset: $0.offset, bytes: SharedBytes(copying: $0.bytes)) }
        }
    }
}
