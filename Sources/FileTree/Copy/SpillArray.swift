// SPDX-License-Identifier: Apache-2.0

import LXCCore

/// An array of plain values of which only the last are in memory once there are many.
struct SpillArray<Element: BitwiseCopyable & Sendable> {
    /// The number of bytes kept in memory.
    private static var memory: Int { 4 << 20 }

    private var file: SpillFile?
    private var stored = 0
    private var tail: [Element] = []

    /// No elements.
    init() {}

    /// The number of elements.
    var count: Int { stored + tail.count }

    private static var stride: Int { MemoryLayout<Element>.stride }

    /// Adds an element.
    mutating func append(_ element: Element) throws {
        tail.append(element)
        guard tail.count * Self.stride >= Self.memory else { return }
        let file = try self.file ?? SpillFile()
        self.file = file
        try tail.withUnsafeBytes { _ = try file.append($0) }
        stored += tail.count
        tail.removeAll(keepingCapacity: true)
    }

    /// The element at an index below ``count``.
    func element(at index: Int) throws -> Element {
        guard index < stored, let file else { return tail[index - stored] }
        return try withUnsafeTemporaryAllocation(byteCount: Self.stride, alignment: 16) { room in
            guard try file.read(into: room, at: UInt64(index * Self.stride)) == Self.stride else {
                throw SpillFailure.cut
            }
            return room.load(as: Element.self)
        }
    }

    /// Replaces the element at an index below ``count``.
    mutating func replace(_ index: Int, with element: Element) throws {
        guard index < stored, let file else {
            tail[index - stored] = element
            return
        }
        try withUnsafeBytes(of: element) { try file.write($0, at: UInt64(index * Self.stride)) }
    }
}

/// Impossible unless another program truncated the temporary file.
enum SpillFailure {
    static var cut: LXCError { LXCError(.io, "a temporary file lost some of its contents; try again") }
}
