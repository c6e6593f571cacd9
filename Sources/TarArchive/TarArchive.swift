public import FileTree
import LXCCore

/// A tar archive in a local file, plain or compressed with gzip, bzip2, xz, zstd or lz4, recognised by content.
///
/// The POSIX and GNU formats are read, with sparse files, extended attributes and access control lists. An entry of a type
/// nobody defined is read as a regular file, as POSIX demands. An archive that is damaged, cut short or followed by
/// anything but zeros is `corrupt`, at the latest after its last entry.
public struct TarArchive: TreeOrigin {
    /// The archive's path.
    public let path: String

    /// Takes a path; nothing is opened yet.
    public init(_ path: String) { self.path = path }

    /// The path.
    public var description: String { path }

    /// Opens the archive for reading.
    ///
    /// - Throws: `LXCError` `notFound`, `permissionDenied`, `corrupt` when it is no tar archive, `io`.
    public func open(limits: TreeLimits) throws -> any TreeSource {
        try TarSource(FileStream(path), limits: limits)
    }
}
