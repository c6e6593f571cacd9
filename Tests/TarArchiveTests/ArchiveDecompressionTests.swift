// SPDX-License-Identifier: Apache-2.0

import Glibc
import LXCCore
import Synchronization
import TarArchive
import TestSupport
import Testing

@Suite(.limited)
struct ArchiveDecompressionTests {
    let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    private func decompress(
        _ source: String = "archive", maximumBytes: UInt64 = .max, cancellation: Cancellation = Cancellation(),
        progress: ProgressHandler? = nil
    ) throws -> UInt64 {
        try ArchiveDecompression.run(
            from: scratch(source), to: scratch("out"), maximumBytes: maximumBytes, cancellation: cancellation,
            progress: progress)
    }

    private var isNothingLeft: Bool { access(scratch("out"), F_OK) != 0 }

    @Test(arguments: ["cat", "gzip -c", "bzip2 -c", "xz -c", "xz --format=lzma -c", "zstd -qc", "lz4 -qc"])
    func resultIsThePlainArchive(command: String) throws {
        try scratch.shell("seq 100000 > file; tar -cf plain file; \(command) < plain > archive")
        let plain = try scratch.read("plain")
        let last = Mutex(TransferProgress())
        #expect(try decompress { progress in last.withLock { $0 = progress } } == UInt64(plain.count))
        #expect(try scratch.read("out") == plain)
        let size = ByteCount(UInt64(try scratch.read("archive").count))
        #expect(last.withLock { $0 } == TransferProgress(transferred: size, total: size))
    }

    @Test(arguments: ["gzip", "bzip2", "xz", "zstd -q"])
    func severalCompressedFilesInARowAreOne(command: String) throws {
        try scratch.shell(
            "seq 30000 > file; tar -cf plain file; { head -c 5000 plain | \(command) -c; tail -c +5001 plain | \(command) -c; } > archive"
        )
        let plain = try scratch.read("plain")
        #expect(try decompress() == UInt64(plain.count))
        #expect(try scratch.read("out") == plain)
    }

    @Test func bombIsStoppedAndNothingRemains() throws {
        try scratch.shell("head -c 20M /dev/zero | gzip > archive")
        expect(.limitExceeded) { _ = try decompress(maximumBytes: (20 << 20) - 1) }
        #expect(isNothingLeft)
        #expect(try decompress(maximumBytes: 20 << 20) == 20 << 20)
    }

    @Test func nothingRemainsAfterDamage() throws {
        try scratch.shell("seq 20000 > file; tar -czf - file | head -c -4 > archive")
        expect(.corrupt) { _ = try decompress() }
        #expect(isNothingLeft)
    }

    @Test func nothingRemainsAfterCancellation() throws {
        try scratch.shell("seq 20000 > file; tar -czf archive file")
        let cancelled = Cancellation()
        cancelled.cancel()
        #expect(throws: CancellationError.self) { try decompress(cancellation: cancelled) }
        #expect(isNothingLeft)
    }

    @Test func fileThatIsThereIsKept() throws {
        try scratch.shell("seq 20000 > file; tar -czf archive file; printf keep > out; ln -s victim link")
        expect(.alreadyExists) { _ = try decompress() }
        #expect(try scratch.shell("cat out; rm out; ln -s victim out") == "keep")
        expect(.alreadyExists) { _ = try decompress() }
        #expect(try scratch.shell("readlink out; [ ! -e victim ]") == "victim")
    }

    @Test func missingSourceMakesNoDestination() throws {
        expect(.notFound) { _ = try decompress("none") }
        #expect(isNothingLeft)
    }
}
