// SPDX-License-Identifier: Apache-2.0

import LXCCore

/// Records of directories, stored as bytes.
struct DirectoryLog {
    private var log = SpillLog()

    /// No directories.
    init() {}

    /// Adds a directory and returns where it is kept.
    mutating func append(_ entry: TreeEntry) throws -> UInt64 {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(64 + entry.path.bytes.count)
        Self.append(entry.mode, to: &bytes)
        Self.append(entry.user, to: &bytes)
        Self.append(entry.group, to: &bytes)
        Self.append(entry.modified.seconds, to: &bytes)
        Self.append(entry.modified.nanoseconds, to: &bytes)
        Self.append(entry.path.bytes, to: &bytes)
        for attribute in entry.attributes {
            Self.append(attribute.name.bytes, to: &bytes)
            Self.append(attribute.value, to: &bytes)
        }
        return try log.append(bytes)
    }

    /// The directory kept at a place.
    func entry(at place: UInt64) throws -> TreeEntry {
        var rest = try log.text(at: place).text[...]
        let mode = Self.take(UInt16.self, from: &rest)
        let user = Self.take(UInt32.self, from: &rest)
        let group = Self.take(UInt32.self, from: &rest)
        let seconds = Self.take(Int64.self, from: &rest)
        let nanoseconds = Self.take(UInt32.self, from: &rest)
        let path = Self.takeBytes(from: &rest)
        var attributes: [TreeEntry.Attribute] = []
        while !rest.isEmpty {
            let name = Self.takeBytes(from: &rest)
            let value = Self.takeBytes(from: &rest)
            // Only checked names were added.
            if let name = AttributeName(name) { attributes.append(TreeEntry.Attribute(name: name, value: value)) }
        }
        return TreeEntry(
            path: TreePath(trusted: path), kind: .directory, mode: mode, user: user, group: group,
            modified: Timestamp(seconds: seconds, nanoseconds: nanoseconds), attributes: attributes)
    }

    private static func append(_ number: some FixedWidthInteger, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: number) { bytes.append(contentsOf: $0) }
    }

    private static func append(_ text: [UInt8], to bytes: inout [UInt8]) {
        append(UInt32(truncatingIfNeeded: text.count), to: &bytes)
        bytes += text
    }

    private static func take<Number: FixedWidthInteger>(_: Number.Type, from rest: inout ArraySlice<UInt8>) -> Number {
        let size = MemoryLayout<Number>.size
        defer { rest = rest.dropFirst(size) }
        return rest.withUnsafeBytes { $0.count < size ? 0 : $0.loadUnaligned(as: Number.self) }
    }

    private static func takeBytes(from rest: inout ArraySlice<UInt8>) -> [UInt8] {
        let count = Int(take(UInt32.self, from: &rest))
        defer { rest = rest.dropFirst(count) }
        return Array(rest.prefix(count))
    }
}

/// Directories whose attributes are set once their contents are complete: the deepest first, so that a restrictive mode
/// does not block access further down. If a directory is added several times, the last entry counts.
struct UnfinishedDirectories {
    private struct Mark: BitwiseCopyable, Comparable, Sendable {
        let depth: UInt32
        let path: Hash
        let place: UInt64

        static func < (left: Self, right: Self) -> Bool {
            if left.depth != right.depth { return left.depth > right.depth }
            return left.path == right.path ? left.place > right.place : left.path < right.path
        }
    }

    private var log = DirectoryLog()
    private var marks = SpillSorter<Mark>()

    /// No directories.
    init() {}

    /// Adds a directory.
    mutating func add(_ entry: TreeEntry) throws {
        let place = try log.append(entry)
        let depth = UInt32(truncatingIfNeeded: entry.path.depth)
        try marks.add(Mark(depth: depth, path: Hash(of: entry.path.bytes), place: place))
    }

    /// Calls `body` for every directory once, the deepest first.
    func forEach(_ body: (TreeEntry) throws -> Void) throws {
        var last: Hash?
        try marks.forEach { mark in
            if last == mark.path { return }
            last = mark.path
            try body(log.entry(at: mark.place))
        }
    }
}
