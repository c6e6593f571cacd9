public import FileTree
import LXCCore

/// A tar archive in a local file, plain or compressed with gzip, bzip2, xz, lzma, zstd or lz4, recognised by content.
///
/// Archives are read by this package's own reader, because names have to arrive byte for byte: libarchive converts and
/// normalizes the names of pax archives. libarchive decompresses what is not gzip; gzip is left to zlib, because
/// libarchive does not check its CRC.
public struct TarArchive: TreeOrigin {
    /// The archive's path.
    public let path: String

    /// Takes a path; nothing is opened yet.
    public init(_ path: String) { self.path = path }

    /// The path.
    public var description: String { path }

    /// Opens the archive for reading.
    public func open(limits: TreeLimits) throws -> any TreeSource {
        try TarReader(ArchiveFile(path: path), shown: "\"\(path.escapedForDisplay)\"", limits: limits)
    }
}
