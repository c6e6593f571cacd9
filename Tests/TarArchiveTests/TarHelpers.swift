import FileTree
import Glibc
import LXCCore
import TarArchive

/// What tests of hostile archives share.
enum TarHostile {
    static var isRoot: Bool { geteuid() == 0 }

    /// A map under which the test may create files whoever runs it: the container's root is the user himself.
    static func ownMap() throws -> IDMap {
        let user = IDMap.Range(container: 0, host: geteuid(), count: 1)
        let group = IDMap.Range(container: 0, host: getegid(), count: 1)
        return try IDMap(users: [user], groups: [group])
    }
}

/// Decompresses from one path to another.
enum Decompressed {
    @discardableResult static func make(
        from path: String, to destination: String, maximumBytes: UInt64 = .max
    ) throws -> (UInt64, CompressionFormat) {
        let descriptor = open(destination, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        defer { close(descriptor) }
        let result = try ArchiveDecompression.run(from: path, to: descriptor, maximumBytes: maximumBytes)
        return (result.bytes, result.format)
    }
}

/// The error an operation throws; nil when it throws none or another.
func failure(of operation: () async throws -> Void) async -> LXCError? {
    do {
        try await operation()
        return nil
    } catch {
        return error as? LXCError
    }
}
