// SPDX-License-Identifier: Apache-2.0

/// Decodes a compressed format, one member at a time: what one run of the compressor writes and calls a member (gzip), a
/// stream (xz) or a frame (zstd).
protocol MemberDecoder: AnyObject {
    /// The data that may follow a member.
    var sequel: MemberSequel { get }

    /// Prepares for the next member, which begins with the next input.
    ///
    /// - Throws: `LXCError` `io`.
    func begin() throws

    /// Decodes some input. Nothing is left to do for the decoder once it says that the member is complete: it has checked
    /// everything the format offers to check.
    ///
    /// - Parameters:
    ///   - input: the next input; empty only after the last of the file.
    ///   - isLast: whether the file has no more.
    ///   - room: the buffer for the contents.
    /// - Returns: the progress made.
    /// - Throws: `LXCError` `corrupt`, `limitExceeded`, `unsupported`, `io`.
    func decode(
        _ input: UnsafeRawBufferPointer, isLast: Bool, into room: UnsafeMutableRawBufferPointer
    ) throws -> DecoderStep
}

/// The result of one call of a decoder.
struct DecoderStep {
    /// Bytes of input that are used up.
    var consumed = 0
    /// Bytes of contents that were made.
    var produced = 0
    /// Whether this was the member's end.
    var isComplete = false
}

/// The data that may follow a member, besides zeros up to the end of the file.
enum MemberSequel {
    case nothing
    /// Another member, directly.
    case member
    /// Another member, directly or after zeros that fill units of so many bytes.
    case paddedMember(unit: UInt64)
}

extension UnsafeRawBufferPointer {
    /// The first byte, as C's decoders take it.
    var bytes: UnsafePointer<UInt8>? { baseAddress?.assumingMemoryBound(to: UInt8.self) }
}
