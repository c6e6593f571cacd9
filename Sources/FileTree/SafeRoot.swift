import CLinux
import Glibc
import LXCCore

/// The check that a container can be started from a tree without a mount ending up outside of it.
enum SafeRoot {
    /// What is mounted over when a container starts: nothing but a real directory will do.
    private static let mounted = ["dev", "proc", "sys", "run"]
    /// What is only read inside: a symbolic link that stays inside is common (`sbin -> usr/sbin`).
    private static let read = ["etc", "sbin"]
    /// The kernel's own limit on symbolic links in one path.
    private static let maximumLinks = 40

    /// Checks the tree whose root is open as `root`.
    ///
    /// - Throws: ``LXCError`` `unsafe`.
    static func check(_ root: CInt) throws {
        for name in mounted {
            if let status = FileStatus(of: name, in: root), status.type != S_IFDIR {
                throw LXCError(.unsafe, "\"\(name)\" of the root filesystem is not a real directory; refused")
            }
        }
        for name in read {
            if let status = FileStatus(of: name, in: root), status.type != S_IFDIR {
                guard status.type == S_IFLNK, leadsToDirectory(Array(name.utf8), root) else {
                    throw LXCError(.unsafe, "\"\(name)\" of the root filesystem leads to no directory inside; refused")
                }
            }
        }
    }

    /// Resolves a path component by component without the kernel following anything; `..` goes back to a directory
    /// that is open already, and never above the root.
    private static func leadsToDirectory(_ path: [UInt8], _ root: CInt) -> Bool {
        var rest = Array(path.split(separator: UInt8(ascii: "/")).reversed())
        var opened: [Box] = []
        var links = 0
        while let component = rest.popLast() {
            if component == [UInt8(ascii: ".")] { continue }
            if component == [UInt8(ascii: "."), UInt8(ascii: ".")] {
                if opened.popLast() == nil { return false }
                continue
            }
            let directory = opened.last?.descriptor.raw ?? root
            let flags = clinux_o_path | clinux_o_nofollow
            let found = withCString(component) { name in Descriptor(name, in: directory, flags: flags) }
            guard let found, let status = FileStatus(of: found.raw) else { return false }
            switch status.type {
            case S_IFDIR: opened.append(Box(found))
            case S_IFLNK:
                links += 1
                guard links <= maximumLinks, let target = readLink(found.raw), target.first != UInt8(ascii: "/") else {
                    return false
                }
                rest += target.split(separator: UInt8(ascii: "/")).reversed()
            default: return false
            }
        }
        return true
    }

    /// Arrays cannot hold what is not copyable.
    private final class Box {
        let descriptor: Descriptor
        init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }
    }

    private static func readLink(_ link: CInt) -> [UInt8]? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(PATH_MAX)) { buffer in
            let length = readlinkat(link, "", buffer.baseAddress.unsafelyUnwrapped, buffer.count)
            return length < 0 ? nil : buffer[..<length].map { UInt8(bitPattern: $0) }
        }
    }
}
