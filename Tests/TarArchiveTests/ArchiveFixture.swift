// SPDX-License-Identifier: Apache-2.0

import FileTree
import Glibc
import LXCCore
import TarArchive
import TestSupport
import Testing

/// Reads an archive to its end.
func readAll(
    _ path: String, reading: ArchiveReading = ArchiveReading()
) throws -> (entries: [ReadEntry], losses: TreeLosses) {
    let source = try TarArchive(path, reading: reading).openForReading(TreeOpening())
    var entries: [ReadEntry] = []
    while let entry = try source.next() {
        var read = ReadEntry(entry: entry)
        while let piece = try source.nextPiece() {
            read.add(piece.bytes.withUnsafeBytes { Array($0) }, at: piece.offset)
        }
        entries.append(read)
    }
    #expect(try source.next() == nil)
    #expect(source.position.read == source.position.total)
    return (entries, source.losses)
}

/// Reads an archive given as bytes.
func readAll(_ bytes: some Collection<UInt8>) throws -> (entries: [ReadEntry], losses: TreeLosses) {
    let scratch = try ScratchDirectory()
    return try readAll(scratch.write(Array(bytes), to: "archive"))
}

/// The code of the error `body` throws; nil when it throws none, or one that is no `LXCError`.
func errorCode(_ body: () throws -> Void) -> LXCError.Code? {
    do {
        try body()
        return nil
    } catch {
        return (error as? LXCError)?.code
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

extension ScratchDirectory {
    /// The bytes as `command`, a compressor that takes `-c`, packs them.
    func compress(_ bytes: [UInt8], with command: String) throws -> [UInt8] {
        _ = try write(bytes, to: "to-pack")
        try shell("\(command) -c to-pack > packed")
        return try read("packed")
    }
}

extension IDMap {
    /// A map under which the test may create files whoever runs it: the container's root is the user himself.
    static func ofTestUser() throws -> IDMap {
        let user = Range(container: 0, host: geteuid(), count: 1)
        let group = Range(container: 0, host: getegid(), count: 1)
        return try IDMap(users: [user], groups: [group])
    }
}
