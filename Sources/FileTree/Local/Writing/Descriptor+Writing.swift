// SPDX-License-Identifier: Apache-2.0

import Glibc
import LXCCore
import LinuxSystem

extension Descriptor {
    /// Writes a piece of the contents of the file open as `target`; `path` is for messages.
    static func write(_ piece: TreePiece, of path: TreePath, to target: CInt) throws {
        try piece.bytes.withUnsafeBytes { try write($0, at: piece.offset, of: path, to: target) }
    }

    /// Writes all of some bytes to the file open as `target`.
    static func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64, of path: TreePath, to target: CInt) throws {
        var rest = bytes
        var offset = offset
        while !rest.isEmpty {
            let count = retrying { pwrite(target, rest.baseAddress, rest.count, off_t(offset)) }
            guard count > 0 else { throw LXCError.lastSystemCall("pwrite", "write \"\(path)\"") }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            offset += UInt64(count)
        }
    }

    /// Gives the file open as `target`, which ends in a hole, its size.
    static func extend(_ target: CInt, to size: UInt64, of path: TreePath) throws {
        guard ftruncate(target, off_t(size)) == 0 else {
            throw LXCError.lastSystemCall("ftruncate", "set the size of \"\(path)\"")
        }
    }
}
