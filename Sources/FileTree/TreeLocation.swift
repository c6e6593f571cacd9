// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
package import LXCCore
package import LinuxSystem

/// A location: the open parent directory, and the name in it.
package struct TreeLocation: ~Copyable {
    package let parent: Descriptor
    package let name: String

    /// Opens the directory above `path`.
    ///
    /// - Throws: `LXCError` `invalidArgument` when the path does not end in a name; `notFound`.
    package init(_ path: String) throws {
        let parts = path.split(separator: "/")
        guard let name = parts.last, name != ".", name != "..", !path.utf8.contains(0) else {
            throw LXCError(.invalidArgument, "\"\(path.escapedForDisplay)\" does not end in a name")
        }
        let above = (path.hasPrefix("/") ? "/" : "./") + parts.dropLast().joined(separator: "/")
        guard let parent = Descriptor(above, flags: O_RDONLY | clinux_o_directory) else {
            throw LXCError.lastSystemCall("openat", "open the directory \"\(above.escapedForDisplay)\"")
        }
        self.parent = parent
        self.name = String(name)
    }

    /// Whether there is anything of that name.
    package var isTaken: Bool { FileStatus(of: name, in: parent.raw) != nil }

    /// The error for a name that is taken.
    package var taken: LXCError {
        LXCError(.alreadyExists, "\"\(name.escapedForDisplay)\" is there already; remove it or choose another name")
    }

    /// A new name for a tree under construction.
    package func makeHiddenName() -> String {
        // A name has room for 255 bytes.
        let kept = String(decoding: name.utf8.prefix(220), as: UTF8.self)
        return ".\(kept).partial-\(RandomName.make())"
    }

    /// Gives what was built under a hidden name its own, which must be free.
    package func publish(_ hiddenName: String) throws {
        var result = clinux_rename_noreplace(parent.raw, hiddenName, parent.raw, name)
        if result != 0, errno == EINVAL || errno == ENOSYS {
            // The file system has no such rename. A link replaces nothing either, but only files have them; the window
            // between look and rename can only meet an empty directory.
            if linkat(parent.raw, hiddenName, parent.raw, name, 0) == 0 {
                unlinkat(parent.raw, hiddenName, 0)
                return
            }
            guard !isTaken else { throw taken }
            result = renameat(parent.raw, hiddenName, parent.raw, name)
        }
        guard result == 0 else {
            if errno == EEXIST || errno == ENOTEMPTY { throw taken }
            throw LXCError.lastSystemCall("renameat2", "put \"\(name.escapedForDisplay)\" in its place")
        }
    }

    /// Makes the name durable.
    package func sync() throws {
        guard fsync(parent.raw) == 0 else {
            throw LXCError.lastSystemCall("fsync", "make the name \"\(name.escapedForDisplay)\" durable")
        }
    }

    /// Removes what has the name.
    borrowing func remove(_ remover: TreeRemover) throws {
        try name.withCString {
            try remover.check($0, in: parent.raw)
            try remover.remove($0, in: parent.raw)
        }
    }

    /// Looks through what has the name for mount points.
    borrowing func check(_ remover: TreeRemover) throws {
        try name.withCString { try remover.check($0, in: parent.raw) }
    }

    /// Refuses a destination at `path` inside `origin`, a directory: a copy to it would read its own output.
    package static func refuse(_ path: String, inside origin: any TreeOrigin) throws {
        guard let origin = origin as? LocalTree else { return }
        try TreeLocation(path).refuseInside(origin)
    }

    private borrowing func refuseInside(_ origin: LocalTree) throws {
        let flags = clinux_o_path | clinux_o_directory
        guard let root = Descriptor(origin.path, flags: flags), let rootStatus = FileStatus(of: root.raw),
            var directory = Descriptor(".", in: parent.raw, flags: flags)
        else { return }
        while let status = FileStatus(of: directory.raw) {
            guard status.identity != rootStatus.identity else {
                throw LXCError(
                    .invalidArgument,
                    "\"\(name.escapedForDisplay)\" is inside \"\(origin.path.escapedForDisplay)\"; choose another place"
                )
            }
            guard let above = Descriptor("..", in: directory.raw, flags: flags),
                let aboveStatus = FileStatus(of: above.raw), aboveStatus.identity != status.identity
            else { return }
            directory = above
        }
    }
}
