// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore

/// One writing of a tree on an NFS server.
///
/// The calling thread only submits: a directory's MKDIR goes first, its contents as soon as the server has returned its
/// handle, all of them concurrently. Hard links follow when their targets are complete, directories get their
/// attributes at the end. Only when a name is repeated is all pending work completed first.
final class NFSTreeSink: TreeSink {
    private let staged: NFSStagedDirectory
    private let options: TreeCopyOptions
    private let writer: NFSTreeWriter
    private var directories: [TreePath: (entry: TreeEntry, handle: NFSFutureHandle)]
    private var lastParent: (path: TreePath, handle: NFSFutureHandle)?
    private var links: [(entry: TreeEntry, target: TreePath)] = []
    /// The file that a hard link of `links` leads to in the end.
    private var linkTargets: [TreePath: TreePath] = [:]
    private var current = Current.nothing
    /// The copy's; the calls under way see the writer's.
    private let cancellation: Cancellation

    /// The entry in progress.
    private enum Current {
        case nothing
        case small(NFSSmallEntry, in: NFSFutureHandle)
        case large(NFSLargeFile)
    }

    /// Creates an NFS tree sink from the hidden directory.
    init(_ staged: NFSStagedDirectory, _ opening: TreeOpening) {
        self.staged = staged
        options = opening.options
        cancellation = opening.cancellation
        writer = NFSTreeWriter(staged.client, cancellation, isLossless: options.lossless)
        let root = TreeEntry(path: .root, kind: .directory, mode: 0o755)
        directories = [.root: (root, NFSFutureHandle(staged.root))]
    }

    let strategy = "write"
    var losses: TreeLosses { writer.losses }

    func begin(_ entry: TreeEntry, isNew: Bool) throws {
        current = .nothing
        if let error = writer.budget.error { throw error }
        writer.loseAttributes(of: entry)
        guard let above = entry.path.parent else {
            directories[.root]?.entry = entry
            return
        }
        let parent = try directory(above, for: entry.path)
        if !isNew, try !replace(entry, in: parent) { return }
        switch entry.kind {
        case .directory: try makeDirectory(entry, in: parent)
        case .hardLink(let target):
            let file = linkTargets[target] ?? target
            linkTargets[entry.path] = file
            links.append((entry, file))
        case .file(let size) where size > UInt64(writer.client.writeSize):
            try writer.budget.acquire(items: 1, bytes: 0, cancellation: cancellation)
            current = .large(NFSLargeFile(entry, size: size, in: parent, writer))
        default: current = .small(NFSSmallEntry(entry, writer), in: parent)
        }
    }

    func write(_ piece: TreePiece) throws {
        switch current {
        case .nothing: throw LXCError(.invalidState, "contents were given for an entry that is not a file")
        case .small(let entry, _): entry.add(piece)
        case .large(let file): try file.write(piece)
        }
    }

    func end() throws {
        switch current {
        case .nothing: break
        case .small(let entry, let directory):
            try writer.budget.acquire(items: 1, bytes: entry.byteCount, cancellation: cancellation)
            entry.start(in: directory)
        case .large(let file): file.end()
        }
        current = .nothing
    }

    func finish() throws {
        try settle()
        try finishDirectories()
        if options.requiresSafeRoot { try SafeRoot.check(NFSRootView(staged.client, staged.root, cancellation)) }
        // The root stays inaccessible to others until everything else is complete.
        if let root = directories[.root] { try finishDirectory(root.entry, staged.root) }
        try writer.budget.waitUntilIdle(cancellation: cancellation)
        try staged.publish(cancellation)
    }

    func abandon() {
        writer.budget.fail(CancellationError())
        staged.abandon()
    }

    // MARK: Directories

    private func directory(_ path: TreePath, for entry: TreePath) throws -> NFSFutureHandle {
        if let lastParent, lastParent.path == path { return lastParent.handle }
        guard let found = directories[path]?.handle else {
            throw LXCError(.unsafe, "\"\(entry)\" would be made in something that is not a directory; refused")
        }
        lastParent = (path, found)
        return found
    }

    private func makeDirectory(_ entry: TreeEntry, in parent: NFSFutureHandle) throws {
        let new = NFSFutureHandle()
        directories[entry.path] = (entry, new)
        try writer.budget.acquire(items: 1, bytes: 0, cancellation: cancellation)
        parent.whenMade { [writer] handle in
            let attributes = NFSNewAttributes(mode: 0o700)
            let call = NFSCall.makeDirectory(Array(entry.path.name), in: handle, attributes)
            writer.submit(call, entry.path) { reply in
                guard case .object(let bytes?, _) = reply else { return writer.fail(senseless: "MKDIR") }
                new.made(NFSHandle(bytes: bytes))
                writer.budget.release(items: 1, bytes: 0)
            }
        }
    }

    /// Names made in a directory change its time, so it gets its attributes when all are there. From the deepest up:
    /// some servers look whether the directories above may be passed.
    private func finishDirectories() throws {
        for (path, directory) in directories.sorted(by: { $0.key.depth > $1.key.depth }) where !path.isRoot {
            guard let handle = directory.handle.handle else { continue }
            try finishDirectory(directory.entry, handle)
        }
        try writer.budget.waitUntilIdle(cancellation: cancellation)
    }

    private func finishDirectory(_ entry: TreeEntry, _ handle: NFSHandle) throws {
        try writer.budget.acquire(items: 1, bytes: 0, cancellation: cancellation)
        writer.complete(entry, handle, nil, timeIsOld: true) { [writer] in writer.budget.release(items: 1, bytes: 0) }
    }

    // MARK: Links and names met again

    /// Waits until all entries so far exist, and makes the hard links to them.
    private func settle() throws {
        try writer.budget.waitUntilIdle(cancellation: cancellation)
        for link in links {
            try writer.budget.acquire(items: 1, bytes: 0, cancellation: cancellation)
            try makeLink(link.entry, to: link.target)
        }
        links = []
        linkTargets = [:]
        try writer.budget.waitUntilIdle(cancellation: cancellation)
    }

    private func makeLink(_ entry: TreeEntry, to target: TreePath) throws {
        let path = entry.path
        guard let above = path.parent, let targetAbove = target.parent,
            let parent = directories[above]?.handle.handle, let targetParent = directories[targetAbove]?.handle.handle
        else {
            throw LXCError(.unsafe, "\"\(path)\" is a hard link through something that is not a directory; refused")
        }
        writer.submit(.lookUp(Array(target.name), in: targetParent), path) { [writer] reply in
            guard case .object(let bytes?, _) = reply else { return writer.fail(senseless: "LOOKUP") }
            writer.submit(.link(NFSHandle(bytes: bytes), Array(path.name), in: parent), path) { _ in
                writer.budget.release(items: 1, bytes: 0)
            }
        }
    }

    /// Removes the object that has the name of an entry. False if it is a directory that stays.
    private func replace(_ entry: TreeEntry, in parent: NFSFutureHandle) throws -> Bool {
        try settle()
        guard let parent = parent.handle else { throw NFSClient.senseless("MKDIR") }
        if let known = directories[entry.path] {
            if entry.kind == .directory {
                directories[entry.path] = (entry, known.handle)
                return false
            }
            let prefix = entry.path.bytes + [UInt8(ascii: "/")]
            directories = directories.filter { $0.key != entry.path && !$0.key.bytes.starts(with: prefix) }
            lastParent = nil
        }
        try staged.remove(Array(entry.path.name), in: parent, cancellation)
        return true
    }
}
