// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
public import LXCCore
import LinuxSystem

/// A tree as the check of its root sees it: names are looked up one at a time and nothing is followed.
package protocol RootView {
    associatedtype Directory

    /// The tree's root.
    var root: Directory { get }
    /// The object a name in a directory refers to.
    func find(_ name: [UInt8], in directory: Directory) -> RootFinding<Directory>
}

/// The object a name in a tree refers to.
package enum RootFinding<Directory> {
    case nothing
    case directory(Directory)
    case link(target: [UInt8])
    case other
}

/// The check that a container can be started from a tree without a mount ending up outside of it.
package enum SafeRoot {
    /// Mount points of a starting container: they must be real directories.
    private static let mounted = ["dev", "proc", "sys", "run"]
    /// Paths only read inside: a symbolic link that stays inside is common (`sbin -> usr/sbin`).
    private static let read = ["etc", "sbin"]
    /// The kernel's own limit on symbolic links in one path.
    private static let maximumLinks = 40

    /// Checks a tree, whether it is a directory or an archive that is read.
    ///
    /// - Throws: `LXCError` `unsafe`.
    package static func check(_ tree: some RootView) throws {
        for name in mounted {
            switch tree.find(Array(name.utf8), in: tree.root) {
            case .nothing, .directory: break
            case .link, .other:
                throw LXCError(.unsafe, "\"\(name)\" of the root filesystem is not a real directory; refused")
            }
        }
        for name in read {
            if case .nothing = tree.find(Array(name.utf8), in: tree.root) { continue }
            guard leadsToDirectory(Array(name.utf8), in: tree) else {
                throw LXCError(.unsafe, "\"\(name)\" of the root filesystem leads to no directory inside; refused")
            }
        }
    }

    /// Resolves a path component by component; `..` returns to a directory already passed, and never goes above the
    /// root.
    private static func leadsToDirectory<Tree: RootView>(_ path: [UInt8], in tree: Tree) -> Bool {
        var rest = Array(path.split(separator: UInt8(ascii: "/")).reversed())
        var passed: [Tree.Directory] = []
        var links = 0
        while let component = rest.popLast() {
            if component == [UInt8(ascii: ".")] { continue }
            if component == [UInt8(ascii: "."), UInt8(ascii: ".")] {
                if passed.popLast() == nil { return false }
                continue
            }
            switch tree.find(Array(component), in: passed.last ?? tree.root) {
            case .directory(let directory): passed.append(directory)
            case .link(let target):
                links += 1
                guard links <= maximumLinks, target.first != UInt8(ascii: "/") else { return false }
                rest += target.split(separator: UInt8(ascii: "/")).reversed()
            case .nothing, .other: return false
            }
        }
        return true
    }
}

/// A tree that is a directory, open.
struct OpenRoot: RootView {
    /// A descriptor that can be kept in arrays and enumerations.
    final class Directory {
        let descriptor: Descriptor
        init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }
    }

    let root: Directory

    /// Opens the root, which is open as `root` already, once more.
    init(_ root: CInt) throws {
        guard let descriptor = Descriptor(".", in: root, flags: clinux_o_path | clinux_o_directory) else {
            throw LXCError.lastSystemCall("openat", "open the root filesystem")
        }
        self.root = Directory(descriptor)
    }

    func find(_ name: [UInt8], in directory: Directory) -> RootFinding<Directory> {
        let flags = clinux_o_path | clinux_o_nofollow
        let found = withCString(name[...]) { name in Descriptor(name, in: directory.descriptor.raw, flags: flags) }
        guard let found else { return errno == ENOENT ? .nothing : .other }
        guard let status = FileStatus(of: found.raw) else { return .other }
        switch status.type {
        case S_IFDIR: return .directory(Directory(found))
        case S_IFLNK: return Self.target(of: found.raw).map { .link(target: $0) } ?? .other
        default: return .other
        }
    }

    private static func target(of link: CInt) -> [UInt8]? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(PATH_MAX)) { buffer in
            let length = readlinkat(link, "", buffer.baseAddress.unsafelyUnwrapped, buffer.count)
            return length < 0 ? nil : buffer[..<length].map { UInt8(bitPattern: $0) }
        }
    }
}

extension LocalTree {
    /// Checks that a container can be started from the tree without a mount ending up outside of it: `dev`, `proc`,
    /// `sys` and `run`, where present, are real directories, `etc` and `sbin` directories or links to one inside.
    ///
    /// A guest can change its root while it runs, so ask again before each start.
    ///
    /// - Throws: `LXCError` `unsafe` naming the entry, `notFound`.
    public func requireSafeRoot(pool: BlockingPool = .shared) async throws {
        try await pool.run { _ in
            guard let root = Descriptor(path, flags: clinux_o_path | clinux_o_directory | clinux_o_nofollow) else {
                throw LXCError.lastSystemCall("openat", "open the directory \"\(path.escapedForDisplay)\"")
            }
            try SafeRoot.check(OpenRoot(root.raw))
        }
    }
}
