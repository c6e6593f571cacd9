// SPDX-License-Identifier: Apache-2.0

import CLZMA
import LinuxSystem

/// Decodes xz, with several threads where the file was written in blocks that say their size, lzip, and lzma, what xz
/// replaced.
///
/// xz and lzip carry a check of their contents, lzma does not.
final class LzmaDecoder: MemberDecoder {
    /// Threads besides the caller's; files of many blocks gain little from more.
    private static let maximumThreads = 4
    /// A decoder's memory: the window, and some tables. With several threads it is the total including the blocks they
    /// hold; if that does not fit, liblzma uses fewer, and finally one that holds no blocks.
    private static let memory = DecoderWindow.maximum + 512 << 10

    private let stream = UnsafeMutablePointer<lzma_stream>.allocate(capacity: 1)
    private let problem: DecoderProblem

    /// Creates a decoder; `problem` names the file in errors.
    init(_ problem: DecoderProblem) {
        stream.initialize(to: lzma_stream())
        self.problem = problem
    }

    deinit {
        lzma_end(stream)
        stream.deallocate()
    }

    /// Streams of an xz file may have zeros between them, in units of four (The .xz File Format, 2.2).
    var sequel: MemberSequel {
        switch problem.format {
        case .xz: .paddedMember(unit: 4)
        case .lzip: .member
        default: .nothing
        }
    }

    func begin() throws {
        let result: lzma_ret
        if problem.format == .xz {
            var options = lzma_mt()
            options.flags = clzma_tell_unsupported_check()
            options.threads = UInt32(min(Processors.online, Self.maximumThreads))
            options.memlimit_threading = Self.memory
            options.memlimit_stop = Self.memory
            result = lzma_stream_decoder_mt(stream, &options)
        } else if problem.format == .lzip {
            result = lzma_lzip_decoder(stream, Self.memory, 0)
        } else {
            result = lzma_alone_decoder(stream, Self.memory)
        }
        guard result == LZMA_OK else { throw problem.trouble("liblzma cannot be set up (\(result.rawValue))") }
    }

    func decode(
        _ input: UnsafeRawBufferPointer, isLast: Bool, into room: UnsafeMutableRawBufferPointer
    ) throws -> DecoderStep {
        stream.pointee.next_in = input.bytes
        stream.pointee.avail_in = input.count
        stream.pointee.next_out = room.baseAddress?.assumingMemoryBound(to: UInt8.self)
        stream.pointee.avail_out = room.count
        let result = lzma_code(stream, isLast ? LZMA_FINISH : LZMA_RUN)
        // LZMA_BUF_ERROR means that there was nothing to do.
        guard result == LZMA_OK || result == LZMA_STREAM_END || result == LZMA_BUF_ERROR else { throw error(result) }
        return DecoderStep(
            consumed: input.count - stream.pointee.avail_in, produced: room.count - stream.pointee.avail_out,
            isComplete: result == LZMA_STREAM_END)
    }

    private func error(_ result: lzma_ret) -> any Error {
        switch result {
        case LZMA_MEMLIMIT_ERROR: problem.window
        case LZMA_FORMAT_ERROR: problem.damage("bytes that are no \(problem.format.rawValue) data are in it")
        case LZMA_DATA_ERROR: problem.damage("its data or a checksum is wrong")
        case LZMA_UNSUPPORTED_CHECK: problem.unknown("a checksum")
        case LZMA_OPTIONS_ERROR: problem.unknown("a filter or an option")
        default: problem.trouble("liblzma error \(result.rawValue)")
        }
    }
}
