// SPDX-License-Identifier: Apache-2.0

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
    /// The maximum duration of the copy.
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
        guard let (_, limit) = Self.names.first(where: { $0.name == name }) else {
            let names = Self.names.map(\.name).joined(separator: ", ")
            throw LXCError(
                .invalidArgument, "there is no limit \"\(name.escapedForDisplay)\"; the limits are \(names)")
        }
        switch limit {
        case .size(let path): self[keyPath: path] = size
        case .wide(let path): self[keyPath: path] = number
        case .narrow(let path): self[keyPath: path] = Int(clamping: number)
        case .time(let path): self[keyPath: path] = .seconds(Int(clamping: number))
        }
    }

    private enum Limit: Sendable {
        case size(any WritableKeyPath<TreeLimits, ByteCount> & Sendable)
        case wide(any WritableKeyPath<TreeLimits, UInt64> & Sendable)
        case narrow(any WritableKeyPath<TreeLimits, Int> & Sendable)
        case time(any WritableKeyPath<TreeLimits, Duration> & Sendable)
    }

    private static let names: [(name: String, limit: Limit)] = [
        ("entries", .wide(\.entries)), ("logicalBytes", .size(\.logicalBytes)),
        ("allocatedBytes", .size(\.allocatedBytes)), ("pathLength", .narrow(\.pathLength)),
        ("depth", .narrow(\.depth)), ("linkTargetLength", .narrow(\.linkTargetLength)),
        ("attributeBytes", .narrow(\.attributeBytes)), ("expansionRatio", .wide(\.expansionRatio)),
        ("wallTime", .time(\.wallTime)),
    ]
}
