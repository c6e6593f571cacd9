// SPDX-License-Identifier: Apache-2.0

import FileTree

/// A directory being read: the server's listing, in bytewise order of names.
///
/// Used under the reader's lock.
final class NFSSourceDirectory {
    enum Listing {
        case unlisted
        case underWay
        case listed
    }

    let path: TreePath
    let handle: NFSHandle
    let above: NFSSourceDirectory?
    var listing = Listing.unlisted
    var entries: [NFSDirectoryEntry] = []
    /// The directories in it, by their place in `entries`.
    var children: [Int: NFSSourceDirectory] = [:]
    /// The index of the next entry.
    var next = 0

    init(_ path: TreePath, _ handle: NFSHandle, above: NFSSourceDirectory?) {
        self.path = path
        self.handle = handle
        self.above = above
    }

    /// Whether a handle is this directory's or that of one above it: no tree has such a loop, but a server may report
    /// one.
    func isInside(_ handle: NFSHandle) -> Bool {
        var next: NFSSourceDirectory? = self
        while let directory = next {
            if directory.handle == handle { return true }
            next = directory.above
        }
        return false
    }

    /// Sets the whole listing.
    func take(_ listed: [NFSDirectoryEntry]) {
        entries = listed.sorted { $0.name.lexicographicallyPrecedes($1.name) }
        listing = .listed
    }
}

/// An entry that is read ahead, in the order in which entries come.
///
/// Used under the reader's lock.
final class NFSSourceItem {
    let path: TreePath
    let handle: NFSHandle
    let attributes: NFSAttributes
    /// Nil as long as a symbolic link's target is under way.
    var entry: TreeEntry?
    /// The pieces of a file's contents read ahead and not consumed, by offset.
    var pieces: [UInt64: SharedBytes] = [:]
    /// The offset of the next READ.
    var requested: UInt64 = 0
    /// The offset of the next piece to consume.
    var taken: UInt64 = 0
    /// The rest is not needed.
    var isSkipped = false
    /// Its holes must be found before anything of it is read.
    var isSparse = false

    init(_ path: TreePath, _ handle: NFSHandle, _ attributes: NFSAttributes) {
        self.path = path
        self.handle = handle
        self.attributes = attributes
    }
}
