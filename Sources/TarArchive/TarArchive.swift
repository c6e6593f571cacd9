// SPDX-License-Identifier: Apache-2.0

public import FileTree
import LXCCore
package import StoreFiles

/// A tar archive in a local file, as an origin and as a destination.
///
/// As an origin it is plain, compressed with gzip, bzip2, xz, lzma, lzip, zstd, lz4 or compress (`.Z`), or the one file
/// in a zip file, recognized by content. Anything else is refused with an error that names its type. As a destination
/// the file must not exist; its name selects the compression: `.tar`, `.tar.gz` (`.tgz`), `.tar.xz` (`.txz`),
/// `.tar.zst` (`.tzst`), `.tar.bz2` (`.tbz2`) or `.tar.lz4`. It is built beside its final place under a hidden name and
/// renamed when complete. The same tree yields the same bytes, with the same versions of the compressors.
///
/// ```swift
/// var options = TreeCopyOptions()
/// options.sourceMap = volume.idMap
/// let summary = try await TreeCopy.run(from: LocalTree(root), to: TarArchive("web1.tar.zst"), options: options)
/// ```
///
/// Archives are written in the pax format, as GNU tar and bsdtar read it: times to the nanosecond, owners of 32 bits,
/// names of any bytes, extended attributes, ACLs, sparse files. Owners are numbers alone.
///
/// Archives are read by this package's own reader, because names have to arrive byte for byte: libarchive converts and
/// normalizes the names of pax archives. Reading and decompressing happen in a thread of their own, a few MiB ahead.
///
/// | format | decoded by | checked |
/// |---|---|---|
/// | gzip | Intel's ISA-L with the package trait `ISAL`, which is on by default; zlib without | checksum and length |
/// | xz | liblzma, with up to four threads where the file has blocks with their size | checksum |
/// | lzip | liblzma | checksum and length |
/// | lzma | liblzma | the format has no check |
/// | zstd | libzstd | checksum, where the file has one |
/// | bzip2, lz4 | libarchive | checksum; lz4's where the file has one |
/// | compress (`.Z`) | libarchive | the format has no check and no end |
/// | zip | libarchive | checksum and length |
///
/// A file may hold several gzip members, xz streams, zstd frames and so on, one after the other; only zeros may follow. A
/// decoder that would take more than 128 MiB for its window is refused as `limitExceeded`.
public struct TarArchive: TreeOrigin, TreeDestination {
    /// The archive's path.
    public let path: String
    /// The way it is read.
    package let reading: ArchiveReading

    /// Creates an archive at a path, without opening it.
    public init(_ path: String) { self.init(path, reading: ArchiveReading()) }

    /// Creates an archive at a path, with the way to read it.
    package init(_ path: String, reading: ArchiveReading) {
        self.path = path
        self.reading = reading
    }

    /// The path.
    public var description: String { path }

    /// Opens the archive for reading.
    public func openForReading(_ opening: TreeOpening) throws -> any TreeSource {
        try StoredArchive(LocalFile(path), reading: reading).openForReading(opening)
    }

    /// Starts a new archive.
    public func openForWriting(_ opening: TreeOpening) throws -> any TreeSink {
        let options = opening.options
        guard options.strategy != .snapshot, options.strategy != .reflink else {
            throw LXCError(
                .unsupported, "the archive \"\(path.escapedForDisplay)\" is written byte by byte; use the strategy auto"
            )
        }
        let archive = try ArchiveWriter(TreeLocation(path), opening.cancellation)
        return TarWriter(archive, durable: options.durable)
    }

    /// Refuses to be inside of `origin`, a directory of this host.
    public func refuseInside(_ origin: any TreeOrigin) throws { try TreeLocation.refuse(path, inside: origin) }
}

/// A tar archive in a file in any place, as an origin; the rules of ``TarArchive`` for reading apply.
package struct StoredArchive: TreeOrigin {
    private let file: any StoredFile
    private let reading: ArchiveReading

    /// Creates an archive in a file, with the way to read it, without opening it.
    package init(_ file: any StoredFile, reading: ArchiveReading = ArchiveReading()) {
        self.file = file
        self.reading = reading
    }

    package var description: String { file.description }

    package func openForReading(_ opening: TreeOpening) throws -> any TreeSource {
        let shown = "\"\(file.description.escapedForDisplay)\""
        return try TarReader(ArchiveFile(file, reading: reading), shown: shown, limits: opening.limits)
    }
}
