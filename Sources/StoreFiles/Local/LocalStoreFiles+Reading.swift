// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
public import LXCCore
import LinuxSystem

/// Reads whole directories: one turn on a thread, whatever the number of names.
extension LocalStoreFiles {
    /// Reads the directory once; looks only at names it does not report as directories.
    public func scan(_ path: String) async throws -> [StoredName] {
        let path = absolute(path)
        return try await pool.run { cancellation in
            guard let directory = Descriptor(path, flags: O_RDONLY | clinux_o_directory),
                var names = DirectoryNames(reading: directory.raw, order: .name)
            else {
                if errno == ENOENT || errno == ENOTDIR { return [] }
                throw LXCError.lastSystemCall("getdents64", "list \(path.escapedForDisplay)")
            }
            var found: [StoredName] = []
            while let name = try names.withNext({ try Self.look(at: $0, in: directory.raw, path) }) {
                try cancellation.check()
                if let name { found.append(name) }
            }
            return found
        }
    }

    /// Only files are asked for more than the directory says. Nil when the name is gone.
    private static func look(at name: DirectoryNames.Name, in directory: CInt, _ path: String) throws -> StoredName? {
        let text = String(decoding: name.bytes, as: UTF8.self)
        if name.type == CInt(DT_DIR) { return StoredName(text, .directory) }
        var status = stat()
        guard fstatat(directory, name.pointer, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
            if errno == ENOENT { return nil }
            throw LXCError.lastSystemCall("fstatat", "look at \(path.escapedForDisplay)/\(text.escapedForDisplay)")
        }
        return switch status.st_mode & S_IFMT {
        case S_IFDIR: StoredName(text, .directory)
        case S_IFREG: StoredName(text, .file(size: UInt64(status.st_size)))
        default: StoredName(text, .other)
        }
    }

    /// Reads the files one after the other on one thread.
    public func readAll(
        in path: String, limit: Int, where isWanted: @escaping @Sendable (String) -> Bool
    ) async throws -> [String: Result<[UInt8], LXCError>] {
        let path = absolute(path)
        return try await pool.run { cancellation in
            var found: [String: Result<[UInt8], LXCError>] = [:]
            for name in try DurableFile.list(path) where isWanted(name) {
                try cancellation.check()
                do {
                    found[name] = try DurableFile.read("\(path)/\(name)", limit: limit).map { .success($0) }
                } catch let error as LXCError {
                    found[name] = .failure(error)
                }
            }
            return found
        }
    }
}
