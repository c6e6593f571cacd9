// SPDX-License-Identifier: Apache-2.0

public import LXCCore

/// Options of a copy.
public struct TreeCopyOptions: Hashable, Sendable {
    /// The way file contents are copied on a local store.
    public enum Strategy: String, CaseIterable, Hashable, Sendable {
        /// The best the file system offers, found by probing.
        case auto
        /// A btrfs subvolume snapshot. Without maps and digest nothing else is done, and the summary has no counts.
        case snapshot
        /// Shared extents (FICLONE).
        case reflink
        /// Bytes, by copy_file_range or read and write.
        case copy
    }

    /// The map under which the source's owners are host ids; they are brought back to container ids.
    public var sourceMap: IDMap?
    /// The map under which container ids become the destination's host ids.
    public var destinationMap: IDMap?
    /// The limits of the source.
    public var limits = TreeLimits()
    /// Whether any loss is an error (`lossRefused`).
    public var lossless = false
    /// The way contents are copied.
    public var strategy = Strategy.auto
    /// Whether the tree must be a root filesystem a container can be started from: `dev proc sys run etc sbin`, where
    /// present, are real directories, or symbolic links that stay inside.
    public var requiresSafeRoot = false
    /// Whether the result is made durable (one syncfs) before it becomes visible.
    public var durable = true
    /// Whether the contents are hashed. Without a digest a local copy leaves moving the contents to the kernel.
    public var computesDigest = true
    /// The parts that the digest and the manifest omit, so that two trees can be compared in the parts both can store.
    public var digestOmits: Set<TreeDigest.Part> = []
    /// Whether the summary has the manifest the digest is made of: 36 bytes and the path for each entry, as long as there are
    /// no more than ``TreeManifest/maximumEntries`` with 32 MiB of paths.
    public var keepsManifest = false
    /// The number of threads that read and write files on a local file system; nil derives it from the host's
    /// processors.
    public var threads: Int?

    /// The defaults.
    public init() {}

    /// Whether a snapshot of the tree is the wanted copy without further changes.
    var changesNothing: Bool { sourceMap == destinationMap && !computesDigest }
}
