// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore

/// A file with holes, which NFSv3 cannot tell from zeros: it is read once to find the long runs of zeros, and a second
/// time without them.
final class NFSSparseFile {
    /// Holes begin and end at multiples of this.
    private static let unit = 4_096
    /// The maximum number of data ranges; a file with more is read as if it had no further holes.
    private static let maximumExtents = 1_000_000
    private static let readsAhead = 16

    private let client: NFSClient
    private let item: NFSSourceItem
    private let cancellation: Cancellation
    private var reader: SequentialReads?

    init(_ client: NFSClient, _ item: NFSSourceItem, _ cancellation: Cancellation) {
        self.client = client
        self.item = item
        self.cancellation = cancellation
    }

    /// The stretches that are no holes.
    func findExtents() throws -> [Range<UInt64>] {
        let size = item.attributes.size
        var extents: [Range<UInt64>] = []
        var reader = SequentialReads(client, item, [0..<size], Self.readsAhead, cancellation)
        while let piece = try reader.next() {
            for (range, isZero) in piece.units(Self.unit) where !isZero {
                if let last = extents.last, last.upperBound == range.lowerBound || extents.count >= Self.maximumExtents
                {
                    extents[extents.count - 1] = last.lowerBound..<range.upperBound
                } else {
                    extents.append(range)
                }
            }
        }
        self.reader = SequentialReads(client, item, extents, Self.readsAhead, cancellation)
        return extents
    }

    func nextPiece() throws -> TreePiece? { try reader?.next() }
}

extension TreePiece {
    /// The piece in units of a size, counted from the file's beginning, each with whether it is all zeros.
    fileprivate func units(_ unit: Int) -> [(range: Range<UInt64>, isZero: Bool)] {
        var result: [(range: Range<UInt64>, isZero: Bool)] = []
        var (offset, rest) = (offset, bytes)
        while !rest.isEmpty {
            let count = min(rest.count, unit - Int(offset % UInt64(unit)))
            result.append((offset..<offset + UInt64(count), rest.prefix(count).areZeros))
            rest = rest.dropFirst(count)
            offset += UInt64(count)
        }
        return result
    }
}

/// Reads stretches of a file one after the other, some reads ahead. Used by one thread.
private struct SequentialReads {
    private struct Read {
        let offset: UInt64
        let count: Int
        let box: ReplyBox
    }

    private let client: NFSClient
    private let item: NFSSourceItem
    private let cancellation: Cancellation
    private let limit: Int
    private var ranges: ArraySlice<Range<UInt64>>
    private var reads: [Read] = []

    init(
        _ client: NFSClient, _ item: NFSSourceItem, _ ranges: [Range<UInt64>], _ limit: Int,
        _ cancellation: Cancellation
    ) {
        self.client = client
        self.item = item
        self.ranges = ranges[...]
        self.limit = limit
        self.cancellation = cancellation
    }

    mutating func next() throws -> TreePiece? {
        while reads.count < limit, let range = ranges.popFirst() {
            let count = min(UInt64(client.readSize), UInt64(range.count))
            reads.append(start(range.lowerBound, Int(count)))
            if count < range.count { ranges.insert(range.lowerBound + count..<range.upperBound, at: ranges.startIndex) }
        }
        guard let read = reads.first else { return nil }
        reads.removeFirst()
        switch read.box.wait() {
        case .success(.data(let data, let isEnd)):
            guard !data.isEmpty, !(isEnd && data.count < read.count) else {
                throw LXCError(.io, "the file \"\(item.path)\" became shorter while it was read; try again")
            }
            if data.count < read.count {
                reads.insert(start(read.offset + UInt64(data.count), read.count - data.count), at: 0)
            }
            return TreePiece(offset: read.offset, bytes: data)
        case .success: throw NFSClient.senseless("READ")
        case .failure(let failure): throw failure.error("read \"\(item.path)\" on \(client.url.place)")
        }
    }

    private func start(_ offset: UInt64, _ count: Int) -> Read {
        let box = ReplyBox()
        let call = NFSCall.read(item.handle, offset: offset, count: count)
        client.submit(call, cancellation: cancellation) { box.set($0) }
        return Read(offset: offset, count: count, box: box)
    }
}

/// A reply that is waited for.
private typealias ReplyBox = CompletionBox<Result<NFSReply, NFSFailure>>
