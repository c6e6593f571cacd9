// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc
public import LXCCore
import LinuxSystem
public import StoreFiles

extension Pool {
    /// The place of a pool in a directory of this host, with the locks that every store in such a directory takes
    /// (``SharedMountPointStore``). Nothing is made or opened.
    ///
    /// - Parameters:
    ///   - path: the directory; a relative path leads from the current directory.
    ///   - threads: for what blocks.
    /// - Returns: the place.
    /// - Throws: `LXCError` `notFound`, `io`.
    public static func directory(_ path: String, threads: BlockingPool = .shared) async throws -> LocalStoreFiles {
        let root = try await threads.run { _ in try resolve(path) }
        return LocalStoreFiles(root, pool: threads, lockFile: StoreLayout.pool)
    }

    /// The path from this process's directory, made absolute: libvirt gets paths below it, and works in another
    /// directory. `..` is resolved by the kernel, which after a symbolic link differs from the text; without it the
    /// operator's own names are kept.
    private static func resolve(_ path: String) throws -> String {
        let start = path.hasPrefix("/") ? "" : FileManager.default.currentDirectoryPath
        let names = "\(start)/\(path)".split(separator: "/").filter { $0 != "." }
        let absolute = "/" + names.joined(separator: "/")
        guard names.contains("..") else { return absolute }
        guard let resolved = realpath(absolute, nil) else {
            if errno == ENOENT || errno == ENOTDIR {
                throw LXCError(
                    .notFound,
                    "there is no directory \(absolute.escapedForDisplay) for a primary store; make or mount it")
            }
            throw LXCError.lastSystemCall("realpath", "find \(absolute.escapedForDisplay)")
        }
        defer { free(resolved) }
        return String(cString: resolved)
    }
}
