// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import LXCCore
import LinuxSystem

/// One reading of a local directory, entry by entry.
final class LocalTreeSource: TreeSource {
    private let stack: DirectoryStack
    private let reader: LocalEntryReader
    private let maker = SharedBytes.Maker()
    /// The path of the directory in work.
    private var path = TreePath.root
    /// The place in `firstPaths` of the first name of each inode with several.
    private var firstNames = SpillTable<FileStatus.Identity, UInt64>()
    private var firstPaths = SpillLog()
    private var file: OpenFile?
    private var rootIsPending = true
    private var bytesRead: UInt64 = 0

    /// Opens the directory `path`; a symbolic link there is followed, because the caller named it.
    init(path: String) throws {
        guard let root = Descriptor(path, flags: O_RDONLY | clinux_o_directory), let status = FileStatus(of: root.raw)
        else { throw LXCError.lastSystemCall("openat", "open the directory \"\(path.escapedForDisplay)\"") }
        // Sequential output, such as an archive, must be identical for identical trees.
        stack = try DirectoryStack(root: root, status: status, order: .name)
        reader = LocalEntryReader(root: status)
    }

    var position: (read: UInt64, total: UInt64?) { (bytesRead, nil) }
    var losses: TreeLosses { reader.losses }

    func next() throws -> TreeEntry? {
        file = nil
        if rootIsPending {
            rootIsPending = false
            return try reader.entry(.root, .directory, stack.root, .descriptor(stack.top))
        }
        while stack.depth > 0 {
            guard let found = try stack.withNextName({ try visit($0) }) else {
                _ = try stack.pop()
                path = path.parent ?? .root
                continue
            }
            if let directory = found.directory {
                try stack.push(
                    Descriptor(adopting: directory.descriptor), name: Array(found.path.name), status: directory.status)
                path = found.path
            }
            if let entry = found.entry {
                bytesRead += UInt64(entry.attributeBytes)
                return entry
            }
        }
        return nil
    }

    func nextPiece() throws -> TreePiece? { try file?.nextPiece(maker) }

    /// The result of visiting a name: an entry, and for a directory the descriptor to push next. A name without an
    /// entry counts as a loss.
    private struct Visited {
        let path: TreePath
        var entry: TreeEntry?
        var directory: (descriptor: CInt, status: FileStatus)?
    }

    private func visit(_ name: DirectoryNames.Name) throws -> Visited {
        var visited = Visited(path: path.appending(name.bytes))
        let path = visited.path
        guard let status = try reader.status(name.pointer, in: stack.top, path) else { return visited }
        let isLinked = status.type != S_IFDIR && status.links > 1
        if isLinked, let place = try firstNames.value(of: status.identity) {
            let first = TreePath(trusted: try firstPaths.text(at: place).text)
            visited.entry = try reader.entry(path, .hardLink(to: first), status, .name(name.pointer, in: stack.top))
            return visited
        }
        switch status.type {
        case S_IFDIR:
            if let (descriptor, entry, status) = try reader.openDirectory(name.pointer, in: stack.top, path) {
                visited.entry = entry
                visited.directory = (descriptor, status)
            }
        case S_IFREG: visited.entry = try openFile(name.pointer, path)
        default: visited.entry = try reader.special(name.pointer, in: stack.top, path, status)
        }
        if isLinked, visited.entry != nil { try firstNames.set(status.identity, firstPaths.append(path.bytes)) }
        return visited
    }

    private func openFile(_ name: UnsafePointer<CChar>, _ path: TreePath) throws -> TreeEntry? {
        guard let (file, status) = try reader.openFile(name, in: stack.top, path),
            var entry = try reader.entry(path, .file(size: status.size), status, .descriptor(file.descriptor.raw))
        else { return nil }
        entry.extents = try file.findExtents()
        bytesRead += status.size
        self.file = file
        return entry
    }
}
