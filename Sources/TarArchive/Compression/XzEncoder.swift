// SPDX-License-Identifier: Apache-2.0

import CLZMA
import FileTree
import LXCCore
import LinuxSystem

/// Compresses an archive with liblzma, in blocks that readers can decompress side by side, with a CRC-64 each.
///
/// libarchive's encoder leaves its threads and their memory behind when an archive is given up.
final class XzEncoder: ArchiveEncoder {
    private static let blockSize = 256 << 10
    /// At level 3 a thread takes about 56 MB (at the usual 6 it would be 130), so that three stay below the memory
    /// limit of a copy.
    private static let level: UInt32 = 3

    private let stream = UnsafeMutablePointer<lzma_stream>.allocate(capacity: 1)
    private let output: ArchiveFileOutput
    private let shown: String
    private let room = UnsafeMutableRawBufferPointer.allocate(byteCount: blockSize, alignment: 16)

    /// Creates an encoder that writes to a file; `shown` is the file's name in messages.
    init(_ output: ArchiveFileOutput, shown: String) throws {
        self.output = output
        self.shown = shown
        stream.initialize(to: lzma_stream())
        var options = lzma_mt()
        options.preset = Self.level
        options.check = LZMA_CHECK_CRC64
        // Two at least: with one thread there would be one block. The number does not matter to what they make.
        options.threads = UInt32(min(max(Processors.usable, 2), 3))
        try check(lzma_stream_encoder_mt(stream, &options))
        emptyRoom()
    }

    deinit {
        lzma_end(stream)
        stream.deallocate()
        room.deallocate()
    }

    func write(_ bytes: SharedBytes) throws {
        try bytes.withUnsafeBytes { bytes in
            stream.pointee.next_in = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
            stream.pointee.avail_in = bytes.count
            while stream.pointee.avail_in > 0 { try compress(LZMA_RUN) }
        }
    }

    func finish() throws {
        while try compress(LZMA_FINISH) != LZMA_STREAM_END {}
        try flush()
    }

    @discardableResult
    private func compress(_ action: lzma_action) throws -> lzma_ret {
        let result = try check(lzma_code(stream, action))
        if stream.pointee.avail_out == 0 { try flush() }
        return result
    }

    private func flush() throws {
        try output.write(UnsafeRawBufferPointer(rebasing: room[..<(room.count - stream.pointee.avail_out)]))
        emptyRoom()
    }

    private func emptyRoom() {
        stream.pointee.next_out = room.baseAddress?.assumingMemoryBound(to: UInt8.self)
        stream.pointee.avail_out = room.count
    }

    @discardableResult
    private func check(_ result: lzma_ret) throws -> lzma_ret {
        guard result == LZMA_OK || result == LZMA_STREAM_END else {
            throw LXCError(.io, "cannot compress the archive \(shown): liblzma error \(result.rawValue)")
        }
        return result
    }
}
