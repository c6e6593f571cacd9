// SPDX-License-Identifier: Apache-2.0

import LXCCore

/// Tracks which of the directories made by a sequence of entries still exist.
///
/// Four bytes are kept for each: the directory it was made in, which has a smaller number.
struct DirectoryFates {
    static let root: UInt32 = 1
    /// The number of the root's own directory is 0, and 0 is always there.
    private var parents: [UInt32] = [0]
    private var removed: Set<UInt32> = []
    /// Whether everything below what was removed is in `removed` too.
    private var isSettled = false

    /// Makes a directory in another.
    mutating func add(in parent: UInt32) throws -> UInt32 {
        guard parents.count < UInt32.max else {
            throw LXCError(.limitExceeded, "there are more than \(parents.count) directories")
        }
        parents.append(parent)
        return UInt32(parents.count - 1)
    }

    mutating func remove(_ directory: UInt32) { removed.insert(directory) }

    /// Whether a directory is there, and all above it.
    func isThere(_ directory: UInt32) -> Bool {
        if removed.isEmpty { return true }
        if isSettled { return !removed.contains(directory) }
        var directory = directory
        while directory != 0 {
            if removed.contains(directory) { return false }
            directory = parents[Int(directory)]
        }
        return true
    }

    /// Declares that nothing will be added or removed any more.
    mutating func settle() {
        isSettled = true
        guard !removed.isEmpty else { return }
        for index in parents.indices.dropFirst() where removed.contains(parents[index]) {
            removed.insert(UInt32(index))
        }
    }
}
