// SPDX-License-Identifier: Apache-2.0

/// The window a compressed file demands of its decoder, which is most of decompression's memory.
///
/// gzip, bzip2 and lz4 take a few MiB at most for any file; the decoders of xz, lzma and zstd get this limit, and apply
/// it to every block and frame.
enum DecoderWindow {
    /// The largest accepted window in bytes; the highest settings of xz and zstd stay at or below it, except those that
    /// require a raised limit for decompression, too.
    static let maximum: UInt64 = 128 << 20
}
