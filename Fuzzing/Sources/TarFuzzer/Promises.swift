// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore

/// Holds an entry to what `TreeEntry` and `TreePath` promise.
func check(_ entry: TreeEntry) {
    check(entry.path)
    require(entry.mode <= 0o7777, "the mode of \(entry.path) has the bits of a type")
    require(entry.user != .max && entry.group != .max, "\(entry.path) belongs to nobody")
    require(entry.modified.nanoseconds < 1_000_000_000, "the time of \(entry.path) has too many nanoseconds")
    switch entry.kind {
    case .hardLink(let target): check(target)
    case .symbolicLink(let target):
        require(!target.isEmpty && !target.contains(0), "the target of \(entry.path) is empty or has a NUL")
    case .characterDevice(let major, let minor), .blockDevice(let major, let minor):
        require(major < 1 << 12 && minor < 1 << 20, "\(entry.path) has device numbers Linux has not")
    case .directory, .file, .fifo: break
    }
    let names = entry.attributes.map(\.name)
    require(Set(names).count == names.count, "\(entry.path) has an attribute twice")
    check(entry.extents, of: entry)
}

/// A path is relative, goes only down, and every component is a name.
private func check(_ path: TreePath) {
    guard !path.isRoot else { return }
    let components = path.bytes.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    for component in components {
        require(!component.isEmpty, "\(path) has an empty component")
        require(!component.elementsEqual(".".utf8), "\(path) has a dot for a component")
        require(!component.elementsEqual("..".utf8), "\(path) goes up")
        require(!component.contains(0), "\(path) has a NUL")
    }
}

private func check(_ extents: [Range<UInt64>]?, of entry: TreeEntry) {
    guard let extents else { return }
    guard case .file(let size) = entry.kind else { fatalError("\(entry.path) has extents and is no file") }
    var end: UInt64 = 0
    for extent in extents {
        require(!extent.isEmpty, "\(entry.path) has an empty extent")
        require(extent.lowerBound >= end, "the extents of \(entry.path) overlap or descend")
        end = extent.upperBound
    }
    require(end <= size, "an extent of \(entry.path) ends beyond the file")
}

/// Reads an entry's contents: pieces that ascend, lie inside the file and its extents, and fill these.
func checkContents(of entry: TreeEntry, from source: any TreeSource) throws {
    guard case .file(let size) = entry.kind else {
        require(try source.nextPiece() == nil, "\(entry.path) is no file and has contents")
        return
    }
    var extents = (entry.extents ?? (size > 0 ? [0..<size] : []))[...]
    while let piece = try source.nextPiece() {
        let count = UInt64(piece.bytes.count)
        require(count > 0, "\(entry.path) has an empty piece")
        guard let extent = extents.first else { fatalError("\(entry.path) has contents beyond its extents") }
        require(piece.offset == extent.lowerBound, "a piece of \(entry.path) is not where the one before ended")
        require(count <= UInt64(extent.count), "a piece of \(entry.path) goes beyond its extent")
        // The bytes are looked at, so that memory that is not the piece's own is noticed.
        _ = piece.bytes.withUnsafeBytes { $0.reduce(0, &+) }
        extents[extents.startIndex] = (extent.lowerBound + count)..<extent.upperBound
        if extents[extents.startIndex].isEmpty { extents.removeFirst() }
    }
    require(extents.isEmpty, "contents of \(entry.path) are missing")
}
