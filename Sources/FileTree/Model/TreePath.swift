// SPDX-License-Identifier: Apache-2.0

import LXCCore

/// A path below a tree's root, as bytes: file names are any bytes but `/` and NUL.
///
/// Never absolute, never holding `..`, `.` or an empty component: a value of this type cannot name anything outside the
/// tree, whatever the archive it was read from says. The root itself is the empty path.
public struct TreePath: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// The components joined by `/`, without a slash at either end; empty for the root.
    public let bytes: [UInt8]

    /// The root of a tree.
    public static let root = TreePath(unchecked: [])

    private init(unchecked bytes: [UInt8]) { self.bytes = bytes }

    /// Creates a path from bytes that were checked before.
    init(trusted bytes: [UInt8]) { self.init(unchecked: bytes) }

    /// Creates a path from bytes after checking them. `./` in front, single `.` components and slashes at the end or
    /// doubled, as archives write them, are dropped.
    ///
    /// - Throws: `LXCError` with code `unsafe` for an empty or absolute path, a `..` component, or a NUL.
    public init(_ path: some Sequence<UInt8>) throws {
        let raw = Array(path)
        if let trimmed = Self.trimmed(raw) {
            bytes = trimmed
            return
        }
        guard !raw.isEmpty else { throw Self.refusal(raw, "is empty") }
        guard raw.first != UInt8(ascii: "/") else { throw Self.refusal(raw, "is absolute") }
        guard !raw.contains(0) else { throw Self.refusal(raw, "holds a NUL") }
        var cleaned: [UInt8] = []
        cleaned.reserveCapacity(raw.count)
        for component in raw.split(separator: UInt8(ascii: "/")) where component != [UInt8(ascii: ".")] {
            guard component != [UInt8(ascii: "."), UInt8(ascii: ".")] else { throw Self.refusal(raw, "holds \"..\"") }
            if !cleaned.isEmpty { cleaned.append(UInt8(ascii: "/")) }
            cleaned += component
        }
        bytes = cleaned
    }

    /// The fast path for most paths of archives: drops `./` in front and a slash at the end. `nil` when there is
    /// more to do, or to refuse.
    private static func trimmed(_ raw: [UInt8]) -> [UInt8]? {
        let slash = UInt8(ascii: "/")
        let dot = UInt8(ascii: ".")
        let range = raw.withUnsafeBufferPointer { raw -> Range<Int>? in
            let start = raw.count > 2 && raw[0] == dot && raw[1] == slash ? 2 : 0
            let end = raw.last == slash ? raw.count - 1 : raw.count
            guard start < end else { return nil }
            var component = start
            for index in start...end where index == end || raw[index] == slash {
                // Empty, ".", "..", or a short name with a dot in front: the slow path distinguishes them.
                guard index > component, raw[component] != dot || index - component > 2 else { return nil }
                component = index + 1
            }
            return raw.contains(0) ? nil : start..<end
        }
        return range.map { $0.count == raw.count ? raw : Array(raw[$0]) }
    }

    /// Creates a path from text and checks it.
    public init(_ path: String) throws { try self.init(path.utf8) }

    /// Whether this is the root.
    public var isRoot: Bool { bytes.isEmpty }

    /// The components from the top down; empty for the root.
    public var components: [ArraySlice<UInt8>] { bytes.split(separator: UInt8(ascii: "/")) }

    /// The last component; empty for the root.
    public var name: ArraySlice<UInt8> { bytes[(lastSlash.map { $0 + 1 } ?? 0)...] }

    /// The directory this entry is in; nil for the root.
    public var parent: TreePath? {
        isRoot ? nil : TreePath(unchecked: lastSlash.map { Array(bytes[..<$0]) } ?? [])
    }

    /// The number of components.
    public var depth: Int { isRoot ? 0 : 1 + bytes.count { $0 == UInt8(ascii: "/") } }

    /// The path of an entry of this directory. `name` is one the kernel gave: not empty, no slash, no NUL.
    public func appending(_ name: some Sequence<UInt8>) -> TreePath {
        TreePath(unchecked: isRoot ? Array(name) : bytes + CollectionOfOne(UInt8(ascii: "/")) + Array(name))
    }

    /// The path as text fit for a log line; `.` for the root.
    public var description: String { isRoot ? "." : String(escapingForDisplay: bytes) }

    /// Orders bytewise.
    public static func < (left: Self, right: Self) -> Bool { left.bytes.lexicographicallyPrecedes(right.bytes) }

    private var lastSlash: Int? { bytes.lastIndex(of: UInt8(ascii: "/")) }

    private static func refusal(_ path: [UInt8], _ why: String) -> LXCError {
        LXCError(.unsafe, "the path \"\(String(escapingForDisplay: path))\" \(why); refused")
    }
}
