public import LXCCore

/// Limits of what a copy accepts; beyond them it fails with `limitExceeded`.
///
/// The defaults pass every real distribution image and stop every bomb of SECURITY-minded test suites: an archive is
/// other people's input.
public struct TreeLimits: Hashable, Sendable {
    /// Entries in all, directories that are made without an entry of their own among them.
    public var entries: UInt64 = 5_000_000
    /// Sum of the files' sizes, holes included.
    public var logicalBytes = ByteCount.gibibytes(16 << 10)
    /// Sum of the bytes really present in files, and of names and values of all extended attributes.
    public var allocatedBytes = ByteCount.gibibytes(1 << 10)
    /// Length of a path in bytes.
    public var pathLength = 16_384
    /// Components of a path.
    public var depth = 512
    /// Length of a symbolic link's target in bytes (Linux's own limit).
    public var linkTargetLength = 4_095
    /// Sum of names and values of one entry's extended attributes in bytes.
    public var attributeBytes = 1 << 20
    /// Decompressed bytes, and bytes of contents and attributes, for each compressed byte, once there are 64 MiB.
    public var expansionRatio: UInt64 = 2_000
    /// How long the copy may take.
    public var wallTime: Duration = .seconds(6 * 3600)

    /// The defaults.
    public init() {}

    /// Sets one limit by its name, as `lxcctl --limits KEY=VALUE` does: numbers plain or with a binary unit (`2GiB`),
    /// `wallTime` in seconds.
    ///
    /// - Throws: `LXCError` `invalidArgument` for an unknown name or a bad number.
    public mutating func set(_ name: String, to value: String) throws {
        let size = try ByteCount(parsing: value)
        let number = size.bytes
        let small = Int(clamping: number)
        switch name {
        case "entries": entries = number
        case "logicalBytes": logicalBytes = size
        case "allocatedBytes": allocatedBytes = size
        case "pathLength": pathLength = small
        case "depth": depth = small
        case "linkTargetLength": linkTargetLength = small
        case "attributeBytes": attributeBytes = small
        case "expansionRatio": expansionRatio = number
        case "wallTime": wallTime = .seconds(small)
        default:
            throw LXCError(
                .invalidArgument,
                "there is no limit \"\(name.escapedForDisplay)\"; the limits are entries, logicalBytes, allocatedBytes, "
                    + "pathLength, depth, linkTargetLength, attributeBytes, expansionRatio, wallTime")
        }
    }
}
