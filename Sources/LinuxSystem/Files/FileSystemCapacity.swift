// SPDX-License-Identifier: Apache-2.0

import Glibc
package import LXCCore

/// The size of a file system, and the space an unprivileged process can still use.
package struct FileSystemCapacity: Hashable, Sendable {
    /// The size of the file system.
    package let total: ByteCount
    /// The free space without the blocks reserved for root.
    package let available: ByteCount

    /// Reads the capacity of the file system that holds `path`. Blocks.
    ///
    /// - Throws: ``LXCError`` `io`.
    package init(of path: String) throws {
        try requireNoNUL(path, "the path")
        var status = statvfs()
        guard statvfs(path, &status) == 0 else {
            throw LXCError.lastSystemCall("statvfs", "read the capacity of \(path.escapedForDisplay)")
        }
        let unit = UInt64(status.f_frsize)
        total = ByteCount(UInt64(status.f_blocks) * unit)
        available = ByteCount(UInt64(status.f_bavail) * unit)
    }
}
