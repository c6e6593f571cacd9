// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore

/// A tar archive's bytes in blocks of 512 and in pieces, without copying but for blocks that the stream cuts in two.
final class TarInput {
    /// The unit of tar(5).
    static let blockSize = 512
    /// The unit tapes are written in: the rest of the last one is whatever the writer's memory held.
    private static let recordSize: UInt64 = 10_240
    /// The maximum length of data after the end-of-archive marker: tape records are padded with zeros, and no record is
    /// this long.
    private static let maximumPadding = 64 << 20
    /// The size from which the expansion ratio applies.
    private static let expansionFloor: UInt64 = 64 << 20

    private let stream: any ByteStream
    private let shown: String
    private let limits: TreeLimits
    private let deadline: ContinuousClock.Instant
    private var chunk = SharedBytes.empty
    /// A block that was peeked at and not yet consumed.
    private var peeked = SharedBytes.empty
    private var produced: UInt64 = 0
    /// The number of bytes skipped.
    private var skipped: UInt64 = 0

    /// Creates an input of a stream, with the archive's name in messages and the limits to apply.
    init(_ stream: any ByteStream, shown: String, limits: TreeLimits) {
        self.stream = stream
        self.shown = shown
        self.limits = limits
        deadline = ContinuousClock.now + limits.wallTime
    }

    /// The number of bytes of the file read so far.
    var bytesRead: UInt64 { stream.bytesRead }

    /// The next block; nil where the stream ends.
    func block() throws -> SharedBytes? {
        if peeked.isEmpty, chunk.count >= Self.blockSize { return take(Self.blockSize) }
        var block: [UInt8] = []
        while block.count < Self.blockSize {
            guard try fill() else {
                if block.isEmpty { return nil }
                throw damage("it ends in the middle of a block")
            }
            take(Self.blockSize - block.count).withUnsafeBytes { block += $0 }
        }
        return SharedBytes(copying: block)
    }

    /// A block that has to be there.
    func requiredBlock() throws -> SharedBytes {
        guard let block = try block() else { throw damage("it ends before its end") }
        return block
    }

    /// The next block without consuming it.
    func peekBlock() throws -> SharedBytes? {
        guard let block = try block() else { return nil }
        peeked = block
        return block
    }

    /// Up to `limit` bytes, at least one.
    func piece(upTo limit: UInt64) throws -> SharedBytes {
        guard try fill() else { throw damage("it ends in the middle of a file's contents") }
        return take(Int(min(limit, UInt64(Int.max))))
    }

    /// Skips `count` bytes, which have to be there.
    func skip(_ count: UInt64) throws {
        var left = count
        while left > 0 {
            let passed = try UInt64(piece(upTo: left).count)
            left -= passed
            skipped += passed
            guard skipped <= limits.allocatedBytes.bytes else {
                throw excess("more than \(limits.allocatedBytes.bytes) bytes of it are no contents (allocatedBytes)")
            }
        }
    }

    /// Reads `count` bytes and the padding up to the next block.
    func bytes(_ count: Int) throws -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(count)
        while result.count < count {
            try piece(upTo: UInt64(count - result.count)).withUnsafeBytes { result += $0 }
        }
        try skip(Self.padding(after: UInt64(count)))
        return result
    }

    /// The number of bytes that fill the last block of `count` bytes.
    static func padding(after count: UInt64) -> UInt64 { (512 - count % 512) % 512 }

    /// The beginning of the index of names that pixz appends to an archive.
    private static let pixzIndex: [UInt8] = [0xA6, 0x4C, 0x32, 0x2E, 0xD6, 0x14, 0xAE, 0xDB]

    /// Reads to the end of the stream once the first block of the end-of-archive marker was taken, so that everything
    /// its format offers is checked. After the second the rest of the record is undefined (pax, ustar Interchange
    /// Format); beyond only zeros may be left, and the index of pixz, which is of no use here.
    func finish() throws {
        var undefined: UInt64 = 0
        if let second = try block() {
            guard second.withUnsafeBytes({ $0.isZero }) else { throw damage("data follows a single block of zeros") }
            undefined = (Self.recordSize - (produced - UInt64(chunk.count)) % Self.recordSize) % Self.recordSize
        }
        var padding = 0
        var isInIndex = false
        while let block = try peekBlockOrRest() {
            isInIndex = isInIndex || block.withUnsafeBytes { $0.starts(with: Self.pixzIndex) }
            let rest = isInIndex ? take(Int.max) : take(block.count)
            guard isInIndex || undefined == 0 else {
                undefined -= min(undefined, UInt64(rest.count))
                continue
            }
            padding += rest.count
            guard isInIndex || rest.withUnsafeBytes({ $0.isZero }) else {
                throw damage("data follows its end-of-archive marker")
            }
            guard padding <= Self.maximumPadding else { throw excess("its padding does not end") }
        }
    }

    /// The error for damage of the archive.
    func damage(_ why: String) -> LXCError {
        LXCError(.corrupt, "the archive \(shown) is damaged: \(why); get it again")
    }

    /// The error for an archive that has more of something than any real one.
    func excess(_ what: String) -> LXCError {
        LXCError(.limitExceeded, "the archive \(shown) is refused: \(what)")
    }

    /// The next block without consuming it, or less at the end of the stream; `nil` if nothing is left.
    private func peekBlockOrRest() throws -> SharedBytes? {
        guard try fill() else { return nil }
        if peeked.isEmpty, chunk.count >= Self.blockSize { return chunk.prefix(Self.blockSize) }
        var block: [UInt8] = []
        while block.count < Self.blockSize, try fill() {
            take(Self.blockSize - block.count).withUnsafeBytes { block += $0 }
        }
        peeked = SharedBytes(copying: block)
        return peeked
    }

    private func fill() throws -> Bool {
        if !peeked.isEmpty || !chunk.isEmpty { return true }
        chunk = try stream.next()
        produced += UInt64(chunk.count)
        if produced > Self.expansionFloor, produced / max(stream.bytesRead, 1) > limits.expansionRatio {
            throw LXCError(
                .limitExceeded, "the archive \(shown) expands to more than \(limits.expansionRatio) times its size")
        }
        guard ContinuousClock.now < deadline else { throw excess("the time allowed is over (wallTime)") }
        return !chunk.isEmpty
    }

    private func take(_ limit: Int) -> SharedBytes {
        // Separate reading and writing of a property avoids a run-time exclusivity check.
        guard peeked.isEmpty else {
            let taken = peeked.prefix(limit)
            peeked = peeked.dropFirst(limit)
            return taken
        }
        let taken = chunk.prefix(limit)
        chunk = chunk.dropFirst(limit)
        return taken
    }
}
