import Glibc
import LXCCore
import Synchronization
import TarArchive
import TestSupport
import Testing

@Suite("Decompression", .timeLimit(.minutes(2)))
struct ArchiveDecompressionTests {
    private func decompress(
        _ scratch: Scratch, maximumBytes: UInt64 = .max, cancellation: Cancellation = Cancellation(),
        progress: ProgressHandler? = nil
    ) throws -> UInt64 {
        try ArchiveDecompression.run(
            from: scratch.file("archive"), to: scratch.file("out"), maximumBytes: maximumBytes,
            cancellation: cancellation, progress: progress)
    }

    @Test("the result is the plain archive", arguments: [nil, "gzip", "bzip2", "xz", "zstd", "lz4"])
    func result(program: String?) throws {
        let scratch = try Scratch()
        var tar = TarBuilder()
        tar.add("file", data: (0..<700_000).map { UInt8(truncatingIfNeeded: $0 / 3) })
        let plain = tar.finish()
        let packed = try program.map { try scratch.compress(plain, with: $0) } ?? plain
        try scratch.store(packed)
        let last = Mutex(TransferProgress())
        #expect(try decompress(scratch) { progress in last.withLock { $0 = progress } } == UInt64(plain.count))
        #expect(try scratch.load("out") == plain)
        let size = UInt64(packed.count)
        #expect(last.withLock { $0 } == TransferProgress(bytes: size, totalBytes: size))
    }

    @Test("a bomb is stopped and nothing remains")
    func bomb() throws {
        let scratch = try Scratch()
        try scratch.store(scratch.compress([UInt8](repeating: 0, count: 20 << 20), with: "gzip"))
        #expect(errorCode { _ = try decompress(scratch, maximumBytes: (20 << 20) - 1) } == .limitExceeded)
        #expect(access(scratch.file("out"), F_OK) != 0)
        #expect(try decompress(scratch, maximumBytes: 20 << 20) == 20 << 20)
    }

    @Test("after damage or cancellation nothing remains; a file that is there does")
    func failures() throws {
        let scratch = try Scratch()
        let packed = try scratch.compress((0..<50_000).map { UInt8(truncatingIfNeeded: $0 &* $0) }, with: "gzip")
        try scratch.store(packed.dropLast(4))
        #expect(errorCode { _ = try decompress(scratch) } == .corrupt)
        #expect(access(scratch.file("out"), F_OK) != 0)

        try scratch.store(packed)
        let cancelled = Cancellation()
        cancelled.cancel()
        #expect(throws: CancellationError.self) { try decompress(scratch, cancellation: cancelled) }
        #expect(access(scratch.file("out"), F_OK) != 0)

        try scratch.store([1], as: "out")
        #expect(errorCode { _ = try decompress(scratch) } == .alreadyExists)
        #expect(try scratch.load("out") == [1])
    }

    @Test("a source that is not there is not found, and no destination is made")
    func missing() throws {
        let scratch = try Scratch()
        #expect(errorCode { _ = try decompress(scratch) } == .notFound)
        #expect(access(scratch.file("out"), F_OK) != 0)
    }
}
