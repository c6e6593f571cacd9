// SPDX-License-Identifier: Apache-2.0

/// The names of inodes that have several, told by the number of their inode.
struct LinkNames {
    /// A name: the inode it belongs to, and where its path is kept.
    struct Name: BitwiseCopyable, Comparable {
        let inode: UInt32
        let hash: Hash
        let path: UInt64

        static func < (left: Self, right: Self) -> Bool {
            left.inode == right.inode
                ? left.hash == right.hash ? left.path < right.path : left.hash < right.hash
                : left.inode < right.inode
        }
    }

    private var paths = SpillLog()
    private var names = SpillSorter<Name>()

    /// No names.
    init() {}

    /// Whether there are no names.
    var isEmpty: Bool { names.count == 0 }

    /// Adds a name, and returns where its path is kept. A name may be added twice.
    @discardableResult
    mutating func add(_ path: TreePath, _ hash: Hash, inode: UInt32) throws -> UInt64 {
        let place = try paths.append(path.bytes)
        try names.add(Name(inode: inode, hash: hash, path: place))
        return place
    }

    /// The path of a name that was added.
    func path(at place: UInt64) throws -> TreePath { TreePath(trusted: try paths.text(at: place).text) }

    /// Calls `body` for every name once, those of one inode after each other, with the hash of the bytewise smallest path
    /// among them. Names that `isValid` denies are left out.
    func forEach(
        where isValid: (Name) throws -> Bool, _ body: (_ name: Name, _ first: Hash) throws -> Void
    ) throws {
        var firsts = SpillArray<Hash>()
        var smallest: [UInt8]?
        var first = Hash.zero
        try forEachOnce(where: isValid) { name, isNewInode in
            if isNewInode, smallest != nil {
                try firsts.append(first)
                smallest = nil
            }
            let path = try paths.text(at: name.path).text
            if let known = smallest, !path.lexicographicallyPrecedes(known) { return }
            smallest = path
            first = name.hash
        }
        if smallest != nil { try firsts.append(first) }
        var group = -1
        try forEachOnce(where: isValid) { name, isNewInode in
            if isNewInode { group += 1 }
            try body(name, firsts.element(at: group))
        }
    }

    private func forEachOnce(
        where isValid: (Name) throws -> Bool, _ body: (_ name: Name, _ isNewInode: Bool) throws -> Void
    ) throws {
        var last: Name?
        try names.forEach { name in
            if let last, last.inode == name.inode, last.hash == name.hash { return }
            guard try isValid(name) else { return }
            let isNew = last?.inode != name.inode
            last = name
            try body(name, isNew)
        }
    }
}
