// SPDX-License-Identifier: Apache-2.0

import LXCCore
import OpenSSL

/// Follows a sequence of entries, and computes the digest of the resulting tree (Documentation/TreeDigest.md).
///
/// It also validates the sequence: a name below a non-directory, or a hard link to anything but an earlier file, is
/// refused for every destination and when there is none. Names are stored as hashes, mostly in temporary files once
/// there are many: memory grows by few bytes per entry.
final class ManifestBuilder {
    /// A name. It counts as long as the directory it was made in is there.
    struct Node: BitwiseCopyable {
        /// The directory it was made in.
        var parent: UInt32
        /// The directory's number; 0 for anything else.
        var directory: UInt32 = 0
        /// The inode: something with attributes and contents that may have several names.
        var inode: UInt32
        var kind: EntryKind
        /// Whether other names may lead to the inode.
        var isLinked = false
        /// The offset of its texts, if it has any.
        var texts: UInt64 = .max
    }

    private var nodes = SpillTable<Hash, Node>()
    private var directories = DirectoryFates()
    private var inodes: UInt32 = 0
    private var parentCache: (path: TreePath, directory: UInt32)?
    /// The names of inodes that have, or had, more than one.
    private var links = LinkNames()
    /// The file in progress.
    private var current: TreeEntry?
    /// Nil where no digest is wanted.
    private let hashing: ContentHashing?
    private let keepsPaths: Bool
    private let keepsLinkTargets: Bool
    private let omits: Set<TreeDigest.Part>
    /// The paths of names and the targets of symbolic links, where they are kept.
    private var texts = SpillLog()
    private var rootIsThere = false

    /// Starts with a root that has the attributes of a directory no entry describes.
    ///
    /// - Parameters:
    ///   - hashesContents: whether a digest is wanted; without one only the sequence is judged.
    ///   - keepsPaths: whether a manifest is wanted.
    ///   - keepsLinkTargets: whether the tree will be looked at as a `RootView`.
    ///   - omits: the parts that the digest omits.
    init(hashesContents: Bool, keepsPaths: Bool, keepsLinkTargets: Bool, omits: Set<TreeDigest.Part> = []) {
        self.keepsPaths = keepsPaths
        self.omits = omits
        hashing = hashesContents ? ContentHashing() : nil
        self.keepsLinkTargets = keepsLinkTargets
    }

    /// Starts an entry.
    ///
    /// - Parameters:
    ///   - entry: the next entry.
    ///   - implying: called before a directory above it is made that had no entry so far; may refuse it.
    /// - Returns: the directories above it that had no entry so far, from the top down; and whether nothing of the
    ///   entry's name came before, not even something that went away again. Nil when the entry changes nothing.
    /// - Throws: `LXCError` `unsafe`, `corrupt`, and what `implying` throws.
    func begin(
        _ entry: TreeEntry, implying: (TreePath) throws -> Void = { _ in }
    ) throws -> (implied: [TreePath], isNew: Bool)? {
        let entry = entry.omitting(omits)
        try makeRoot()
        if case .hardLink(let target) = entry.kind, target == entry.path {
            _ = try file(target, for: entry.path)
            return nil
        }
        guard let parentPath = entry.path.parent else {
            guard entry.kind == .directory else {
                throw LXCError(.unsafe, "the root of the tree is not a directory in the source; refused")
            }
            try fill(.root, Hash(of: []), in: 0, over: nodes.value(of: Hash(of: [])), with: entry)
            return ([], false)
        }
        var implied: [TreePath] = []
        let parent = try directory(parentPath, for: entry.path, &implied, implying)
        let hash = Hash(of: entry.path.bytes)
        let known = try nodes.value(of: hash)
        // The former object of this name may have been removed with its directory.
        let old = known.flatMap { $0.parent == parent ? $0 : nil }
        if case .hardLink(let target) = entry.kind {
            try link(entry.path, hash, in: parent, over: old, to: target)
        } else {
            try fill(entry.path, hash, in: parent, over: old, with: entry)
        }
        return (implied, known == nil)
    }

    /// Adds a piece of the contents of the file in progress.
    func update(_ piece: TreePiece) { hashing?.update(piece) }

    /// Completes the entry in progress.
    func end() {
        guard let entry = current else { return }
        current = nil
        hashing?.end(entry)
    }

    /// The records of the final tree. Without hashed contents they have no digest.
    func finish() throws -> ManifestRecords {
        try makeRoot()
        let hashes = try hashing?.finish()
        directories.settle()
        var records = ManifestRecords(hashes: hashes != nil, keepsPaths: keepsPaths)
        let record = { (node: Node) in try hashes?.element(at: Int(node.inode)) ?? Hash.zero }
        try nodes.forEach { hash, node in
            guard !node.isLinked, directories.isThere(node.parent) else { return }
            try records.add(path(of: node), hash, record(node), node.kind)
        }
        try links.forEach(where: { try linked($0) != nil }) { name, first in
            guard let node = try linked(name) else { return }
            try records.add(path(of: node), name.hash, smallest: first, record(node), node.kind)
        }
        return records
    }

    /// The object a link's name refers to at the end; `nil` if it is something else or missing.
    private func linked(_ name: LinkNames.Name) throws -> Node? {
        guard let node = try nodes.value(of: name.hash), node.isLinked, node.inode == name.inode,
            directories.isThere(node.parent)
        else { return nil }
        return node
    }
}

// MARK: - The tree of names

extension ManifestBuilder {
    private func makeRoot() throws {
        guard !rootIsThere else { return }
        rootIsThere = true
        try fill(.root, Hash(of: []), in: 0, over: nil, with: .impliedDirectory(.root))
    }

    /// Finds or makes a directory.
    private func directory(
        _ path: TreePath, for entry: TreePath, _ implied: inout [TreePath], _ implying: (TreePath) throws -> Void
    ) throws -> UInt32 {
        guard let above = path.parent else { return DirectoryFates.root }
        if let parentCache, parentCache.path == path { return parentCache.directory }
        let hash = Hash(of: path.bytes)
        let known = try nodes.value(of: hash)
        if let known, directories.isThere(known.parent) {
            guard known.directory != 0 else {
                throw LXCError(.unsafe, "\"\(entry)\" is below \"\(path)\", which is not a directory; refused")
            }
            parentCache = (path, known.directory)
            return known.directory
        }
        let parent = try directory(above, for: entry, &implied, implying)
        try implying(path)
        let made = try fill(path, hash, in: parent, over: nil, with: .impliedDirectory(path))
        implied.append(path)
        parentCache = (path, made)
        return made
    }

    /// Gives a name a new inode; returns which directory it is now.
    @discardableResult
    private func fill(
        _ path: TreePath, _ hash: Hash, in parent: UInt32, over old: Node?, with entry: TreeEntry
    ) throws -> UInt32 {
        let kind = EntryKind(entry)
        var node = Node(parent: parent, inode: inodes, kind: kind)
        inodes += 1
        guard inodes < .max else { throw LXCError(.limitExceeded, "there are more than \(inodes) entries") }
        let known = old?.directory ?? 0
        if kind == .directory {
            // A repeated directory keeps its identity.
            node.directory = try known != 0 ? known : directories.add(in: parent)
        } else {
            remove(known)
        }
        node.texts = try keepTexts(path, entry)
        try nodes.set(hash, node)
        if case .file(let size) = entry.kind {
            current = entry
            hashing?.begin(size: size)
        } else {
            hashing?.add(entry)
        }
        return node.directory
    }

    /// Everything below a directory is removed with it.
    private func remove(_ directory: UInt32) {
        guard directory != 0 else { return }
        directories.remove(directory)
        parentCache = nil
    }

    private func link(
        _ path: TreePath, _ hash: Hash, in parent: UInt32, over old: Node?, to target: TreePath
    ) throws {
        let targetHash = Hash(of: target.bytes)
        var found = try file(target, for: path)
        remove(old?.directory ?? 0)
        guard directories.isThere(found.parent) else {
            throw LXCError(
                .corrupt, "\"\(path)\" is a hard link to an entry that it replaces (\"\(target)\"); refused")
        }
        if !found.isLinked {
            found.isLinked = true
            try nodes.set(targetHash, found)
            try links.add(target, targetHash, inode: found.inode)
        }
        var node = found
        node.parent = parent
        node.texts = try keepTexts(path, nil, linkTo: found)
        try nodes.set(hash, node)
        try links.add(path, hash, inode: found.inode)
    }

    /// The target of a hard link.
    private func file(_ target: TreePath, for path: TreePath) throws -> Node {
        let refusal = { (code: LXCError.Code, why: String) in
            LXCError(code, "\"\(path)\" is a hard link \(why) (\"\(target)\"); refused")
        }
        guard let found = try nodes.value(of: Hash(of: target.bytes)), directories.isThere(found.parent) else {
            throw refusal(.corrupt, "to an entry that did not come before it")
        }
        guard found.directory == 0 else { throw refusal(.unsafe, "to a directory") }
        return found
    }

    // MARK: Texts

    /// Stores a name's path and a symbolic link's target.
    private func keepTexts(_ path: TreePath, _ entry: TreeEntry?, linkTo found: Node? = nil) throws -> UInt64 {
        var target: [UInt8] = []
        if keepsLinkTargets {
            if case .symbolicLink(let text)? = entry?.kind { target = text }
            if let found, let text = try self.target(of: found) { target = text }
        }
        guard keepsPaths || !target.isEmpty else { return .max }
        let place = try texts.append(keepsPaths ? path.bytes : [])
        try texts.append(target)
        return place
    }

    private func path(of node: Node) throws -> TreePath? {
        guard keepsPaths, node.texts != .max else { return nil }
        return TreePath(trusted: try texts.text(at: node.texts).text)
    }

    private func target(of node: Node) throws -> [UInt8]? {
        guard node.kind == .symbolicLink, node.texts != .max else { return nil }
        let target = try texts.text(at: texts.text(at: node.texts).next).text
        return target.isEmpty ? nil : target
    }
}

// MARK: - The root as a container would find it

extension ManifestBuilder: RootView {
    var root: TreePath { .root }

    func find(_ name: [UInt8], in directory: TreePath) -> RootFinding<TreePath> {
        let path = directory.appending(name)
        do {
            guard let known = try nodes.value(of: Hash(of: path.bytes)), directories.isThere(known.parent) else {
                return .nothing
            }
            if known.directory != 0 { return .directory(path) }
            return try target(of: known).map { .link(target: $0) } ?? .other
        } catch {
            // An unreadable text counts as a refused one.
            return .other
        }
    }
}
