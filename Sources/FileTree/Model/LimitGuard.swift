// SPDX-License-Identifier: Apache-2.0

import LXCCore

/// Counts the entries and bytes of a copy and stops it at the limits.
struct LimitGuard {
    /// The size from which the expansion ratio applies: small archives of zeros are common and harmless.
    private static let expansionFloor: UInt64 = 64 << 20

    private let limits: TreeLimits
    private let deadline: ContinuousClock.Instant
    private var untilClock = 0
    private(set) var entries: UInt64 = 0
    private(set) var logicalBytes: UInt64 = 0
    private(set) var allocatedBytes: UInt64 = 0
    /// Names and values of all entries' attributes, which take space as contents do.
    private var attributeBytes: UInt64 = 0

    /// Starts the clock.
    init(_ limits: TreeLimits) {
        self.limits = limits
        deadline = ContinuousClock.now + limits.wallTime
    }

    /// Counts an entry; `read` is the number of bytes read from the medium so far.
    mutating func count(_ entry: TreeEntry, read: UInt64) throws {
        try countName(entry.path)
        let attributes = entry.attributeBytes
        try check(attributes, limits.attributeBytes, "attributeBytes", "bytes of attributes, more than", entry.path)
        if attributes > 0 {
            attributeBytes += UInt64(attributes)
            try checkAllocated(entry.path, read)
        }
        switch entry.kind {
        case .file(let size):
            let (sum, overflows) = logicalBytes.addingReportingOverflow(size)
            guard size <= UInt64(Int64.max), !overflows else {
                throw LXCError(.limitExceeded, "\"\(entry.path)\" has a size no file can have")
            }
            logicalBytes = sum
            try check(logicalBytes, limits.logicalBytes.bytes, "logicalBytes", "files add up to more than", entry.path)
        case .symbolicLink(let target):
            try check(
                target.count, limits.linkTargetLength, "linkTargetLength", "a link target of more than", entry.path)
        case .hardLink(let target):
            try check(
                target.bytes.count, limits.pathLength, "pathLength", "a hard link's path of more than", entry.path)
        default: break
        }
        try checkTime(entry.path)
    }

    /// Counts a directory that has no entry of its own and is made for its contents.
    mutating func count(implied path: TreePath) throws {
        try countName(path)
        try checkTime(path)
    }

    /// Counts a piece of contents; `read` is the number of bytes read from the medium so far.
    mutating func count(_ bytes: UInt64, of path: TreePath, read: UInt64) throws {
        allocatedBytes += bytes
        try checkAllocated(path, read)
        try checkTime(path)
    }

    private mutating func countName(_ path: TreePath) throws {
        entries += 1
        try check(entries, limits.entries, "entries", "there are more than", path)
        try check(path.bytes.count, limits.pathLength, "pathLength", "bytes of path, more than", path)
        try check(path.depth, limits.depth, "depth", "a depth of more than", path)
    }

    private func checkAllocated(_ path: TreePath, _ read: UInt64) throws {
        let bytes = allocatedBytes + attributeBytes
        try check(bytes, limits.allocatedBytes.bytes, "allocatedBytes", "contents and attributes are more than", path)
        guard bytes > Self.expansionFloor, bytes / max(read, 1) > limits.expansionRatio else { return }
        throw LXCError(
            .limitExceeded,
            "\"\(path)\": the archive expands to more than \(limits.expansionRatio) times its size (expansionRatio)")
    }

    private mutating func checkTime(_ path: TreePath) throws {
        untilClock -= 1
        guard untilClock < 0 else { return }
        untilClock = 16
        guard ContinuousClock.now < deadline else {
            throw LXCError(.limitExceeded, "\"\(path)\": the time allowed is over (wallTime)")
        }
    }

    private func check<Number: Comparable>(
        _ number: Number, _ limit: Number, _ name: String, _ what: String, _ path: TreePath
    ) throws {
        guard number > limit else { return }
        throw LXCError(
            .limitExceeded, "\"\(path)\": \(what) \(limit) (limit \(name)); raise the limit if this is right")
    }
}
