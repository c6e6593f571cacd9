import LXCCore
import OpenSSL

/// Follows what a sequence of entries makes of a tree, and computes the tree's digest (Documentation/TreeDigest.md).
///
/// It judges the sequence as well: a name below something that is no directory, or a hard link to anything but a file
/// that came before, is refused here whatever the destination is, also when there is none. Names are kept as hashes
/// only, so memory does not grow with their length.
final class ManifestBuilder {
    /// Something with attributes and contents; several names may lead to it.
    private struct Inode {
        /// Nil as long as a file's contents are not known.
        var hash: Hash?
        var kind: EntryKind
    }

    /// A name. It counts as long as the directory it was made in is the one that is there now.
    private struct Node {
        let nameHash: Hash
        let parent: Int
        var parentSerial: Int
        /// Tells one directory of this name from the next; 0 when it is none.
        var serial: Int
        var inode: Int
    }

    private var nodes: [Node] = []
    private var inodes: [Inode] = []
    private var indices: [Hash: Int] = [:]
    private var lastSerial = 0
    private var parentCache: (path: TreePath, index: Int)?
    /// The names of inodes that have more than one, by node.
    private var linkedNames: [Int: TreePath] = [:]
    private var current: (entry: TreeEntry, node: Int)?
    /// Nil where no digest is wanted.
    private let hashing: ContentHashing?
    private let keepsPaths: Bool
    /// The paths of the nodes, where they are kept.
    private var paths: [TreePath] = []
    private let keepsLinkTargets: Bool
    private let omits: Set<TreeDigest.Part>
    /// Where symbolic links lead, by inode.
    private var linkTargets: [Int: [UInt8]] = [:]
    private var linkTargetBytes = 0
    /// Real trees stay far below; a link beyond it is taken for one that leads nowhere.
    private static let maximumLinkTargetBytes = 64 << 20

    /// Starts with a root that has the attributes of a directory no entry describes.
    ///
    /// - Parameters:
    ///   - hashesContents: whether a digest is wanted; without one only the sequence is judged.
    ///   - keepsPaths: whether a manifest is wanted.
    ///   - keepsLinkTargets: whether the tree will be looked at as a `RootView`.
    ///   - omits: what the digest leaves out.
    init(hashesContents: Bool, keepsPaths: Bool, keepsLinkTargets: Bool, omits: Set<TreeDigest.Part> = []) {
        self.keepsPaths = keepsPaths
        self.omits = omits
        hashing = hashesContents ? ContentHashing() : nil
        self.keepsLinkTargets = keepsLinkTargets
        let root = insert(.root, hash: Hash(of: []), parent: -1)
        fill(root, with: TreeEntry.impliedDirectory(.root))
    }

    /// Starts an entry.
    ///
    /// - Parameters:
    ///   - entry: what comes next.
    ///   - implying: called before a directory above it is made that had no entry so far; may refuse it.
    /// - Returns: the directories above it that had no entry so far, from the top down; and whether nothing of the
    ///   entry's name came before, not even something that went away again. Nil when the entry changes nothing.
    /// - Throws: `LXCError` `unsafe`, `corrupt`, and what `implying` throws.
    func begin(
        _ entry: TreeEntry, implying: (TreePath) throws -> Void = { _ in }
    ) throws -> (implied: [TreePath], isNew: Bool)? {
        let entry = entry.omitting(omits)
        if case .hardLink(let target) = entry.kind, target == entry.path {
            try requireFile(target)
            return nil
        }
        var implied: [TreePath] = []
        let known = nodes.count
        let node = try place(entry, &implied, implying)
        let isNew = node >= known
        if case .hardLink(let target) = entry.kind {
            try link(node, entry.path, to: target)
        } else if case .file(let size) = entry.kind {
            current = (entry, node)
            hashing?.begin(size: size)
            // Until its end the file has a kind already: it may not be a directory.
            fill(node, with: entry)
        } else {
            fill(node, with: entry)
        }
        return (implied, isNew)
    }

    /// Takes a piece of the contents of the file last begun.
    func update(_ piece: TreePiece) { hashing?.update(piece) }

    /// Completes the entry last begun.
    func end() {
        guard let (entry, node) = current else { return }
        current = nil
        hashing?.end(entry, inode: nodes[node].inode)
    }

    /// The records of the tree as it is at the end. Without hashing contents they have no digest.
    func finish() -> ManifestRecords {
        for (inode, hash) in hashing?.finish() ?? [] { inodes[inode].hash = hash }
        var records = ManifestRecords(keepsPaths: keepsPaths)
        var names: [Int: [(path: TreePath, hash: Hash)]] = [:]
        for node in presentNodes() {
            let inode = nodes[node].inode
            if let path = linkedNames[node] {
                names[inode, default: []].append((path, nodes[node].nameHash))
            } else {
                records.add(
                    node < paths.count ? paths[node] : nil, nodes[node].nameHash, hash(inode), inodes[inode].kind)
            }
        }
        for (inode, group) in names { records.add(group, hash(inode), inodes[inode].kind) }
        return records
    }

    private func hash(_ inode: Int) -> Hash { inodes[inode].hash ?? .zero }
}

// MARK: - The tree of names

extension ManifestBuilder {
    /// Finds or makes the node of an entry and the directories above it.
    private func place(
        _ entry: TreeEntry, _ implied: inout [TreePath], _ implying: (TreePath) throws -> Void
    ) throws -> Int {
        guard let parentPath = entry.path.parent else {
            guard entry.kind == .directory else {
                throw LXCError(.unsafe, "the root of the tree is not a directory in the source; refused")
            }
            return 0
        }
        let parent = try directory(parentPath, for: entry.path, &implied, implying)
        return self.node(entry.path, in: parent)
    }

    private func directory(
        _ path: TreePath, for entry: TreePath, _ implied: inout [TreePath], _ implying: (TreePath) throws -> Void
    ) throws -> Int {
        guard let above = path.parent else { return 0 }
        if let parentCache, parentCache.path == path { return parentCache.index }
        if let index = indices[Hash(of: path.bytes)], isPresent(index) {
            guard nodes[index].serial != 0 else {
                throw LXCError(.unsafe, "\"\(entry)\" is below \"\(path)\", which is not a directory; refused")
            }
            parentCache = (path, index)
            return index
        }
        let parent = try directory(above, for: entry, &implied, implying)
        try implying(path)
        let index = node(path, in: parent)
        fill(index, with: .impliedDirectory(path))
        implied.append(path)
        parentCache = (path, index)
        return index
    }

    private func node(_ path: TreePath, in parent: Int) -> Int {
        let hash = Hash(of: path.bytes)
        guard let index = indices[hash] else { return insert(path, hash: hash, parent: parent) }
        if nodes[index].parentSerial != nodes[parent].serial {
            // What had this name went away with its directory.
            nodes[index].parentSerial = nodes[parent].serial
            nodes[index].serial = 0
            linkedNames[index] = nil
        }
        return index
    }

    private func insert(_ path: TreePath, hash: Hash, parent: Int) -> Int {
        let serial = parent < 0 ? 0 : nodes[parent].serial
        if keepsPaths, paths.count < TreeManifest.maximumEntries { paths.append(path) }
        nodes.append(Node(nameHash: hash, parent: parent, parentSerial: serial, serial: 0, inode: -1))
        indices[hash] = nodes.count - 1
        return nodes.count - 1
    }

    /// Gives a name a new inode.
    private func fill(_ node: Int, with entry: TreeEntry) {
        let kind = EntryKind(entry)
        setSerial(node, isDirectory: kind == .directory)
        linkedNames[node] = nil
        nodes[node].inode = inodes.count
        if keepsLinkTargets, case .symbolicLink(let target) = entry.kind { keep(target) }
        let isComplete = kind != .file && hashing != nil
        inodes.append(Inode(hash: isComplete ? EntryRecord(entry, contents: nil).hash : nil, kind: kind))
    }

    /// Keeps the target of the link that becomes the next inode.
    private func keep(_ target: [UInt8]) {
        linkTargetBytes += target.count
        if linkTargetBytes <= Self.maximumLinkTargetBytes { linkTargets[inodes.count] = target }
    }

    /// A directory over a directory stays the same one; everything else below the name goes away.
    private func setSerial(_ node: Int, isDirectory: Bool) {
        if isDirectory {
            if nodes[node].serial == 0 {
                lastSerial += 1
                nodes[node].serial = lastSerial
            }
        } else if nodes[node].serial != 0 {
            nodes[node].serial = 0
            parentCache = nil
        }
    }

    private func link(_ node: Int, _ path: TreePath, to target: TreePath) throws {
        let refusal = { (code: LXCError.Code, why: String) in
            LXCError(code, "\"\(path)\" is a hard link \(why) (\"\(target)\"); refused")
        }
        guard let found = indices[Hash(of: target.bytes)], found != node, isPresent(found) else {
            throw refusal(.corrupt, "to an entry that did not come before it")
        }
        guard nodes[found].serial == 0 else { throw refusal(.unsafe, "to a directory") }
        setSerial(node, isDirectory: false)
        guard isPresent(found) else { throw refusal(.corrupt, "to an entry that it replaces") }
        nodes[node].inode = nodes[found].inode
        linkedNames[node] = path
        linkedNames[found] = target
    }

    /// The target of a hard link to itself has to be there.
    private func requireFile(_ target: TreePath) throws {
        guard let found = indices[Hash(of: target.bytes)], isPresent(found) else {
            throw LXCError(
                .corrupt, "\"\(target)\" is a hard link to itself, and no such file came before it; refused")
        }
        guard nodes[found].serial == 0 else {
            throw LXCError(.unsafe, "\"\(target)\" is a hard link to a directory (\"\(target)\"); refused")
        }
    }

    private func isPresent(_ index: Int) -> Bool {
        var index = index
        guard nodes[index].inode >= 0 else { return false }
        while nodes[index].parent >= 0 {
            let parent = nodes[index].parent
            guard nodes[parent].serial != 0, nodes[parent].serial == nodes[index].parentSerial else { return false }
            index = parent
        }
        return true
    }

    /// The nodes that are there at the end. A parent has the smaller number always.
    private func presentNodes() -> [Int] {
        var isPresent = [Bool](repeating: false, count: nodes.count)
        for index in nodes.indices {
            let node = nodes[index]
            let isBelow = node.parent < 0 || (isPresent[node.parent] && nodes[node.parent].serial == node.parentSerial)
            isPresent[index] = isBelow && node.inode >= 0 && (node.parent < 0 || nodes[node.parent].serial != 0)
        }
        return nodes.indices.filter { isPresent[$0] }
    }
}

// MARK: - The root as a container would find it

extension ManifestBuilder: RootView {
    var root: TreePath { .root }

    func find(_ name: [UInt8], in directory: TreePath) -> RootFinding<TreePath> {
        let path = directory.appending(name)
        guard let index = indices[Hash(of: path.bytes)], isPresent(index) else { return .nothing }
        if nodes[index].serial != 0 { return .directory(path) }
        return linkTargets[nodes[index].inode].map { .link(target: $0) } ?? .other
    }
}
