// SPDX-License-Identifier: Apache-2.0

extension TreeEntry {
    /// Sum of names and values of the extended attributes in bytes.
    package var attributeBytes: Int { attributes.reduce(0) { $0 + $1.name.bytes.count + $1.value.count } }

    /// The entry's approximate size in memory.
    package var weight: Int {
        let target =
            switch kind {
            case .symbolicLink(let target): target.count
            case .hardLink(let target): target.bytes.count
            case .directory, .file, .characterDevice, .blockDevice, .fifo: 0
            }
        let extents = (self.extents?.count ?? 0) * MemoryLayout<Range<UInt64>>.size
        return 256 + path.bytes.count + target + attributeBytes + 64 * attributes.count + extents
    }
}

/// The memory held by a batch of entries and pieces of contents.
///
/// A piece holds the whole memory block that contains it, however small it is; consecutive pieces mostly share one.
package struct BatchWeight {
    /// The approximate number of bytes.
    package private(set) var bytes = 0
    private var last: SharedBytes?

    /// An empty batch.
    package init() {}

    /// Adds an entry.
    package mutating func add(_ entry: TreeEntry) { bytes += entry.weight }

    /// Adds contents.
    package mutating func add(_ piece: SharedBytes) {
        bytes += 64
        if last?.sharesMemory(with: piece) == true { return }
        bytes += piece.heldBytes
        last = piece
    }
}
