// SPDX-License-Identifier: Apache-2.0

import TarArchive
import TestSupport
import Testing

@Suite(.limited)
struct StoredContentsTests {
    /// Stretches of ten bytes, the hole after each as long as told.
    private func extents(holes: [UInt64]) -> [Range<UInt64>] {
        var start: UInt64 = 0
        return holes.map { hole in
            defer { start += 10 + hole }
            return start..<(start + 10)
        }
    }

    @Test func smallHolesAreFilledWhereThereAreMoreThanReadersTake() {
        let extents = extents(holes: [4_096, 4_097, 1, 9_000, 0])
        var whole = StoredContents(size: 100_000, extents: extents)
        #expect(whole.count == 50)
        var joined = StoredContents(size: 100_000, extents: extents, maximumExtents: 3)
        #expect(joined.count == 50 + 4_096 + 1)
        let zeros: [UInt64] = [0, 4_096, 0, 1, 0]
        for (extent, zeros) in zip(extents, zeros) {
            #expect(!joined.isComplete && !whole.isComplete)
            // In two pieces.
            #expect(joined.take(offset: extent.lowerBound, count: 4) == zeros)
            #expect(joined.take(offset: extent.lowerBound + 4, count: 6) == 0)
            #expect(whole.take(offset: extent.lowerBound, count: 10) == 0)
        }
        #expect(joined.isComplete && whole.isComplete)
        #expect(StoredContents(size: 100_000, extents: extents, maximumExtents: 1).count == 50 + 17_194)
    }

    @Test func mapOfAnyFileIsNoLongerThanReadersTake() {
        let extents = (0..<UInt64((1 << 20) + 5)).map { ($0 * 3 + 1)..<($0 * 3 + 2) }
        // All holes are as small as each other.
        #expect(StoredContents(size: 10_000_000, extents: extents).count == UInt64(extents.count) * 3 - 2)
    }

    @Test func stretchesThatTouchAreOne() {
        var contents = StoredContents(size: 40, extents: [0..<10, 10..<20, 20..<20, 30..<40])
        #expect(contents.count == 30)
        #expect(contents.take(offset: 0, count: 20) == 0)
        #expect(contents.take(offset: 20, count: 1) == nil)
        #expect(contents.take(offset: 30, count: 10) == 0)
        #expect(contents.isComplete)
        #expect(StoredContents(size: 20, extents: [0..<10, 10..<20]).count == 20)
        #expect(StoredContents(size: 0, extents: []).isComplete)
    }
}
