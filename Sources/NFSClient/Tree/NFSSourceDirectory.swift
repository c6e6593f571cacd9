import FileTree

/// A directory that is read: what the server lists in it, in bytewise order of names.
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
    /// Which entry comes next.
    var next = 0

    init(_ path: TreePath, _ handle: NFSHandle, above: NFSSourceDirectory?) {
        self.path = path
        self.handle = handle
        self.above = above
    }

    /// Whether a handle is this directory's or that of one above it: no tree has such a loop, but a server may say so.
    func isInside(_ handle: NFSHandle) -> Bool {
        var next: NFSSourceDirectory? = self
        while let directory = next {
            if directory.handle == handle { return true }
            next = directory.above
        }
        return false
    }

    /// Takes the whole listing.
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
    /// What was read ahead of a file's contents and not taken, by offset.
    var pieces: [UInt64: SharedBytes] = [:]
    /// Where the next READ begins.
    var requested: UInt64 = 0
    /// Where the next piece that is taken begins.
    var taken: UInt64 = 0
    /// Nobody wants more of it.
    var isSkipped = false
    /// Its holes must be found before anything of it is read.
    var isSparse = false

    init(_ path: TreePath, _ handle: NFSHandle, _ attributes: NFSAttributes) {
        self.path = path
        self.handle = handle
        self.attributes = attributes
    }
}
