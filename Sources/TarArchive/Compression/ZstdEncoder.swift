// SPDX-License-Identifier: Apache-2.0

import CZstd
import FileTree
import LXCCore
import LinuxSystem

/// Compresses an archive with libzstd, as one frame with a checksum, which libarchive's encoder has no option for.
final class ZstdEncoder: ArchiveEncoder {
    private static let blockSize = 256 << 10

    private let context: OpaquePointer
    private let output: ArchiveFileOutput
    private let shown: String
    private let room = UnsafeMutableRawBufferPointer.allocate(byteCount: blockSize, alignment: 16)
    private var filled = 0

    /// Creates an encoder that writes to a file; `shown` is the file's name in messages.
    init(_ output: ArchiveFileOutput, shown: String) throws {
        guard let context = ZSTD_createCCtx() else { throw LXCError(.io, "libzstd cannot be set up (\(shown))") }
        self.context = context
        self.output = output
        self.shown = shown
        try check(ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1))
        // At least one extra thread: the result is the same for any number of threads, but differs with none. A libzstd
        // built without threads refuses the setting and works without.
        let threads = min(max(Processors.usable, 1), 8)
        _ = ZSTD_CCtx_setParameter(context, ZSTD_c_nbWorkers, CInt(threads))
    }

    deinit {
        ZSTD_freeCCtx(context)
        room.deallocate()
    }

    func write(_ bytes: SharedBytes) throws {
        try bytes.withUnsafeBytes { bytes in
            var input = ZSTD_inBuffer(src: bytes.baseAddress, size: bytes.count, pos: 0)
            while input.pos < input.size { _ = try compress(&input, ZSTD_e_continue) }
        }
    }

    func finish() throws {
        var input = ZSTD_inBuffer(src: nil, size: 0, pos: 0)
        while try compress(&input, ZSTD_e_end) > 0 {}
        try flush()
    }

    /// Compresses part of the input; returns the number of bytes libzstd holds back, as far as it knows.
    private func compress(_ input: inout ZSTD_inBuffer, _ directive: ZSTD_EndDirective) throws -> Int {
        var target = ZSTD_outBuffer(dst: room.baseAddress, size: room.count, pos: filled)
        let rest = try check(ZSTD_compressStream2(context, &target, &input, directive))
        filled = target.pos
        if filled == room.count { try flush() }
        return rest
    }

    private func flush() throws {
        try output.write(UnsafeRawBufferPointer(rebasing: room[..<filled]))
        filled = 0
    }

    @discardableResult
    private func check(_ result: Int) throws -> Int {
        guard ZSTD_isError(result) == 0 else {
            let text = String(cString: ZSTD_getErrorName(result)).escapedForDisplay
            throw LXCError(.io, "cannot compress the archive \(shown): \(text)")
        }
        return result
    }
}
