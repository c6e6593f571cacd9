// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import LXCCore
import LinuxSystem

/// The open directories from a tree's root down to where a walk is.
///
/// Every step goes from a descriptor to a name, so trees of any depth and path length can be walked, and nothing
/// outside can be reached, whatever is renamed during the walk. Only the deepest directories stay open: a closed one is
/// reopened by `..` from its child and must be the same inode.
final class DirectoryStack {
    /// The maximum number of open directories.
    static let openDirectories = 8

    /// One directory of the stack.
    struct Level {
        /// The name in the directory above; empty for the root.
        let name: [UInt8]
        let status: FileStatus
        var names: DirectoryNames
        fileprivate var descriptor: CInt
    }

    private(set) var levels: [Level] = []
    private let order: DirectoryNames.Order

    /// Creates a stack with the root, open for reading; `order` is the order in which names are returned.
    init(root: consuming Descriptor, status: FileStatus, order: DirectoryNames.Order = .inode) throws {
        self.order = order
        try push(root, name: [], status: status)
    }

    deinit {
        for level in levels where level.descriptor >= 0 { close(level.descriptor) }
    }

    /// The root's status.
    var root: FileStatus { levels[0].status }
    /// The deepest directory's descriptor, open for reading.
    var top: CInt { levels[levels.count - 1].descriptor }
    /// The number of directories, including the root.
    var depth: Int { levels.count }

    /// The path of `name` in the deepest directory, for messages.
    func path(of name: some Sequence<UInt8>) -> TreePath {
        levels.dropFirst().reduce(TreePath.root) { $0.appending($1.name) }.appending(name)
    }

    /// Descends into a directory of the deepest one and reads its names. A directory removed in the meantime has none.
    func push(_ directory: consuming Descriptor, name: [UInt8], status: FileStatus) throws {
        var names = DirectoryNames()
        if let found = DirectoryNames(reading: directory.raw, order: order) {
            names = found
        } else if errno != ENOENT {
            throw LXCError.lastSystemCall("getdents64", "read the directory \"\(path(of: name))\"")
        }
        levels.append(Level(name: name, status: status, names: names, descriptor: directory.release()))
        let oldest = levels.count - 1 - Self.openDirectories
        if oldest >= 0, levels[oldest].descriptor >= 0 {
            close(levels[oldest].descriptor)
            levels[oldest].descriptor = -1
        }
    }

    /// Ascends and returns the name of the directory left.
    func pop() throws -> [UInt8] {
        let level = levels.removeLast()
        defer { close(level.descriptor) }
        if !levels.isEmpty, top < 0 { levels[levels.count - 1].descriptor = try reopen(above: level.descriptor) }
        return level.name
    }

    /// Calls `body` with the next name of the deepest directory; nil when it has no more.
    func withNextName<Result>(_ body: (DirectoryNames.Name) throws -> Result) rethrows -> Result? {
        let index = levels.count - 1
        // The names are moved out and back, so that `body` may look at the stack.
        var names = levels[index].names
        levels[index].names = DirectoryNames()
        defer { levels[index].names = names }
        return try names.withNext(body)
    }

    /// Reads the deepest directory's names again, because names may have been added; returns whether there are any.
    func readNamesAgain() throws -> Bool {
        guard let names = DirectoryNames(reading: top, order: order) else {
            if errno == ENOENT { return false }
            throw LXCError.lastSystemCall("getdents64", "read a directory again")
        }
        levels[levels.count - 1].names = names
        return !names.isEmpty
    }

    private func reopen(above child: CInt) throws -> CInt {
        guard let parent = Descriptor("..", in: child, flags: O_RDONLY | clinux_o_directory | clinux_o_nofollow),
            let status = FileStatus(of: parent.raw)
        else { throw LXCError.lastSystemCall("openat", "go up from the directory \"\(path(of: []))\"") }
        guard status.identity == levels[levels.count - 1].status.identity else {
            throw LXCError(.unsafe, "the directory \"\(path(of: []))\" was moved away while it was walked; refused")
        }
        return parent.release()
    }
}
