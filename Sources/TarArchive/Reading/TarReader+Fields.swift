// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore

// Interprets single fields of an entry's headers.
extension TarReader {
    /// Programs that were given absolute names wrote them into links too, and all readers take them for names inside.
    func hardLinkTarget(_ target: [UInt8]) throws -> TreePath {
        let relative = target.drop { $0 == UInt8(ascii: "/") }
        return relative.isEmpty && !target.isEmpty ? .root : try TreePath(relative)
    }

    func linkTarget(_ target: [UInt8], _ path: TreePath) throws -> [UInt8] {
        guard !target.isEmpty else { throw input.damage("the symbolic link \"\(path)\" leads to nothing") }
        guard !target.contains(0) else {
            throw LXCError(.unsafe, "the symbolic link \"\(path)\" has a target with a NUL; refused")
        }
        return target
    }

    func mode(_ header: TarHeader, _ path: TreePath) throws -> UInt16 {
        guard let mode = header.mode else { throw input.damage("the mode of \"\(path)\" is not a number") }
        return UInt16(mode & 0o7777)
    }

    func id(_ id: Int64?, _ what: String, _ path: TreePath) throws -> UInt32 {
        guard let id else { throw input.damage("the \(what) of \"\(path)\" is not a number") }
        // Truncated to 32 bits some would become root's; the largest means "leave the owner unchanged" to the kernel.
        guard let exact = UInt32(exactly: id), exact != .max else {
            throw LXCError(.unsafe, "\"\(path)\" has the \(what) id \(id), which no file can have; refused")
        }
        return exact
    }

    func modified(_ header: TarHeader, _ records: PaxRecords, _ path: TreePath) throws -> Timestamp {
        let time =
            records["mtime"].map { PaxRecords.time($0) } ?? header.modified.map { Timestamp(seconds: $0) }
        guard let time else { throw input.damage("the time of \"\(path)\" is not a number") }
        return time
    }

    func device(
        _ header: TarHeader, _ records: PaxRecords, _ path: TreePath
    ) throws -> (major: UInt32, minor: UInt32) {
        let major = records.number("SCHILY.devmajor", orElse: header.major)
        let minor = records.number("SCHILY.devminor", orElse: header.minor)
        // Linux has 12 bits for the one and 20 for the other.
        guard let major, let minor, (0..<1 << 12).contains(major), (0..<1 << 20).contains(minor) else {
            throw input.damage("the device numbers of \"\(path)\" are out of Linux's range")
        }
        return (UInt32(major), UInt32(minor))
    }
}
