// SPDX-License-Identifier: Apache-2.0

public import FileTree
import LXCCore
import Synchronization

/// A root filesystem in memory: a source of templates without an archive, and the contents of the in-memory stores.
///
/// ```swift
/// var tree = MemoryTree.smallRoot()
/// try tree.addFile("etc/hostname", "box\n")
/// let template = try await store.installTemplate(.random(), from: tree)
/// ```
public struct MemoryTree: TreeOrigin {
    /// An entry and, for a regular file, its contents.
    public struct Node: Hashable, Sendable {
        /// The entry.
        public var entry: TreeEntry
        /// The bytes of a regular file.
        public var contents: [UInt8]

        /// Creates a node.
        public init(_ entry: TreeEntry, contents: [UInt8] = []) {
            self.entry = entry
            self.contents = contents
        }
    }

    /// The entries, in the order in which they are read.
    public var nodes: [Node] = []
    /// Shown in errors.
    public var description: String
    /// Called with its index before an entry is read, on the thread of the copy: throw to make the reading fail there,
    /// or wait to hold it up.
    public var beforeEntry: (@Sendable (Int) throws -> Void)?
    /// The owner of entries added later.
    public var owner: (user: UInt32, group: UInt32) = (0, 0)

    private var openings = Counter()

    /// An empty tree.
    public init(_ description: String = "a tree in memory") { self.description = description }

    /// A root with a few directories, files and links, owned as given: enough for a store, not for a container.
    public static func smallRoot(user: UInt32 = 0, group: UInt32 = 0) -> MemoryTree {
        var tree = MemoryTree("a small root in memory")
        tree.owner = (user, group)
        let paths: [(String, TreeEntry.Kind, UInt16, String)] = [
            ("./", .directory, 0o755, ""), ("bin", .directory, 0o755, ""),
            ("bin/busybox", .file(size: 6), 0o755, "binary"),
            ("bin/sh", .symbolicLink(target: Array("busybox".utf8)), 0o777, ""),
            ("etc", .directory, 0o755, ""), ("etc/hostname", .file(size: 4), 0o644, "box\n"),
            ("etc/empty", .file(size: 0), 0o600, ""), ("tmp", .directory, 0o1777, ""),
        ]
        for (path, kind, mode, contents) in paths {
            guard let path = try? TreePath(path) else { continue }
            tree.nodes.append(tree.node(path, kind, mode, Array(contents.utf8)))
        }
        return tree
    }

    /// The number of times this tree, or a copy of this value, was opened for reading.
    public var timesOpened: Int { openings.value }

    /// The same tree with an opening count of its own, starting at zero.
    func countedAnew() -> MemoryTree {
        var tree = self
        tree.openings = Counter()
        return tree
    }

    /// Adds a directory.
    ///
    /// - Throws: `LXCError` `unsafe` for a path that leaves the tree.
    public mutating func addDirectory(_ path: String, mode: UInt16 = 0o755) throws {
        nodes.append(node(try TreePath(path), .directory, mode))
    }

    /// Adds a regular file.
    ///
    /// - Throws: `LXCError` `unsafe` for a path that leaves the tree.
    public mutating func addFile(_ path: String, _ contents: String = "", mode: UInt16 = 0o644) throws {
        let bytes = Array(contents.utf8)
        nodes.append(node(try TreePath(path), .file(size: UInt64(bytes.count)), mode, bytes))
    }

    /// Adds a symbolic link.
    ///
    /// - Throws: `LXCError` `unsafe` for a path that leaves the tree.
    public mutating func addSymbolicLink(_ path: String, to target: String) throws {
        nodes.append(node(try TreePath(path), .symbolicLink(target: Array(target.utf8)), 0o777))
    }

    /// The entry of that path, or nil.
    public subscript(path: String) -> Node? {
        guard let path = try? TreePath(path) else { return nil }
        return nodes.last { $0.entry.path == path }
    }

    private func node(
        _ path: TreePath, _ kind: TreeEntry.Kind, _ mode: UInt16, _ contents: [UInt8] = []
    ) -> Node {
        let entry = TreeEntry(path: path, kind: kind, mode: mode, user: owner.user, group: owner.group)
        return Node(entry, contents: contents)
    }

    /// Starts a reading.
    public func openForReading(_ opening: TreeOpening) throws -> any TreeSource {
        openings.increment()
        return Reading(self)
    }

    private final class Counter: Sendable {
        private let count = Atomic(0)
        var value: Int { count.load(ordering: .relaxed) }
        func increment() { count.add(1, ordering: .relaxed) }
    }

    private final class Reading: TreeSource {
        private let tree: MemoryTree
        private var index = 0
        private var unread: [UInt8] = []
        private var bytesRead: UInt64 = 0

        init(_ tree: MemoryTree) { self.tree = tree }

        var position: (read: UInt64, total: UInt64?) { (bytesRead, nil) }
        var losses: TreeLosses { TreeLosses() }

        func next() throws -> TreeEntry? {
            guard index < tree.nodes.count else { return nil }
            try tree.beforeEntry?(index)
            let node = tree.nodes[index]
            index += 1
            unread = node.contents
            return node.entry
        }

        func nextPiece() throws -> TreePiece? {
            guard !unread.isEmpty else { return nil }
            defer { unread = [] }
            bytesRead += UInt64(unread.count)
            return TreePiece(offset: 0, bytes: SharedBytes(copying: unread))
        }
    }
}
