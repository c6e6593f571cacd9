// SPDX-License-Identifier: Apache-2.0

import CZstd

/// Decodes zstd: frames with data and frames to be skipped. The checksum of a frame is optional in the format, and checked
/// where it is there.
final class ZstdDecoder: MemberDecoder {
    private let context: OpaquePointer
    private let problem: DecoderProblem

    /// Creates a decoder; `problem` names the file in errors.
    init(_ problem: DecoderProblem) throws {
        guard let context = ZSTD_createDCtx() else { throw problem.trouble("libzstd cannot be set up") }
        self.context = context
        self.problem = problem
        let logarithm = CInt(DecoderWindow.maximum.trailingZeroBitCount)
        guard ZSTD_isError(ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, logarithm)) == 0 else {
            throw problem.trouble("libzstd takes no limit for its window")
        }
    }

    deinit { ZSTD_freeDCtx(context) }

    var sequel: MemberSequel { .member }

    func begin() throws {
        guard ZSTD_isError(ZSTD_DCtx_reset(context, ZSTD_reset_session_only)) == 0 else {
            throw problem.trouble("libzstd cannot go on")
        }
    }

    func decode(
        _ input: UnsafeRawBufferPointer, isLast: Bool, into room: UnsafeMutableRawBufferPointer
    ) throws -> DecoderStep {
        var source = ZSTD_inBuffer(src: input.baseAddress, size: input.count, pos: 0)
        var target = ZSTD_outBuffer(dst: room.baseAddress, size: room.count, pos: 0)
        let result = ZSTD_decompressStream(context, &target, &source)
        guard ZSTD_isError(result) == 0 else { throw error(result) }
        return DecoderStep(consumed: source.pos, produced: target.pos, isComplete: result == 0)
    }

    private func error(_ result: Int) -> any Error {
        switch ZSTD_getErrorCode(result) {
        case ZSTD_error_frameParameter_windowTooLarge: problem.window
        case ZSTD_error_memory_allocation: problem.trouble("there is not enough memory")
        default: problem.damage(String(cString: ZSTD_getErrorName(result)))
        }
    }
}
