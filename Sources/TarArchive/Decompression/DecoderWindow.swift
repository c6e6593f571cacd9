/// How much a compressed file makes its decoder remember, which is most of the memory decompression takes.
///
/// gzip, bzip2 and lz4 take a few MiB at most whatever the file says; the decoders of xz, lzma and zstd are told this
/// limit, and hold every block and frame to it.
enum DecoderWindow {
    /// The largest window that is accepted, in bytes; the highest settings of xz and zstd, short of those whose users
    /// have to raise the limit for decompression too, stay at or below it.
    static let maximum: UInt64 = 128 << 20
}
