// SPDX-License-Identifier: Apache-2.0

import FileTree

/// The layout of a file's contents in the archive, and the part received so far.
///
/// A file is stored whole, or without its holes and with a map of the rest before it.
package struct StoredContents {
    private let size: UInt64
    /// The stretches that are stored; nil for a file stored whole.
    private let extents: [Range<UInt64>]?
    /// Holes up to this length are stored as zeros, so that the map does not get longer than readers take.
    private var filled: UInt64 = 0
    private var index = 0
    /// The offset in the file of the next byte.
    private var position: UInt64 = 0

    /// Creates the contents of a file from its size, the data ranges of a sparse file, and the maximum number of ranges
    /// in the map.
    package init(size: UInt64, extents: [Range<UInt64>]?, maximumExtents: Int = SparseMap.maximumExtents - 1) {
        self.size = size
        guard var joined = extents.map({ Self.join($0, over: 0) }), joined != [0..<size] else {
            self.extents = nil
            return
        }
        while joined.count > maximumExtents {
            filled = max(filled * 2, 4_096)
            joined = Self.join(joined, over: filled)
        }
        self.extents = joined
        position = joined.first?.lowerBound ?? size
    }

    /// Whether holes are left out.
    var isSparse: Bool { extents != nil }

    /// The number of the file's bytes in the archive.
    package var count: UInt64 { extents?.reduce(0) { $0 + UInt64($1.count) } ?? size }

    /// Whether everything is there.
    package var isComplete: Bool {
        guard let extents else { return position == size }
        return extents.isEmpty || (index == extents.count - 1 && position == extents[index].upperBound)
    }

    /// Adds a piece of the contents.
    ///
    /// - Returns: the number of zeros before it; nil if the piece is out of sequence.
    package mutating func take(offset: UInt64, count: UInt64) -> UInt64? {
        if let extents, !extents.isEmpty, position == extents[index].upperBound, index < extents.count - 1 {
            index += 1
            position = extents[index].lowerBound
        }
        let end = extents.map { index < $0.count ? $0[index].upperBound : 0 } ?? size
        guard offset >= position, offset - position <= filled, offset <= end, count <= end - offset else { return nil }
        defer { position = offset + count }
        return offset - position
    }

    /// Adds the map as GNU's sparse format 1.0 has it: decimal numbers, one a line, the number of stretches and then
    /// offset and length of each; padded to whole blocks. An empty range marks the end of a file that ends in a hole.
    func appendMap(to output: inout [UInt8]) {
        guard let extents else { return }
        let start = output.count
        let endsInHole = extents.last?.upperBound != size
        Self.append(UInt64(extents.count + (endsInHole ? 1 : 0)), to: &output)
        for extent in extents {
            Self.append(extent.lowerBound, to: &output)
            Self.append(UInt64(extent.count), to: &output)
        }
        if endsInHole {
            Self.append(size, to: &output)
            Self.append(0, to: &output)
        }
        let padding = TarInput.padding(after: UInt64(output.count - start))
        output.append(contentsOf: repeatElement(0, count: Int(padding)))
    }

    private static func append(_ number: UInt64, to output: inout [UInt8]) {
        PaxWriter.append(number, to: &output)
        output.append(UInt8(ascii: "\n"))
    }

    private static func join(_ extents: [Range<UInt64>], over gap: UInt64) -> [Range<UInt64>] {
        var result: [Range<UInt64>] = []
        for extent in extents where !extent.isEmpty {
            if let last = result.last, extent.lowerBound - last.upperBound <= gap {
                result[result.count - 1] = last.lowerBound..<extent.upperBound
            } else {
                result.append(extent)
            }
        }
        return result
    }
}
