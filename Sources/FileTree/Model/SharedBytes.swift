// SPDX-License-Identifier: Apache-2.0

import LXCCore
import Synchronization

/// An immutable range of memory that any thread may read.
///
/// Contents travel from a source to the digest and to the sink as values of this type, without copying.
public struct SharedBytes: @unchecked Sendable {
    // @unchecked: the memory is never written once a value exists, and `block` keeps it alive.
    private let block: Block?
    private let start: UnsafeRawPointer?
    /// The number of bytes.
    public let count: Int

    private init(_ block: Block?, _ start: UnsafeRawPointer?, _ count: Int) {
        self.block = block
        self.start = start
        self.count = count
    }

    /// No bytes.
    public static let empty = SharedBytes(nil, nil, 0)

    /// A copy of some bytes.
    public init(copying bytes: UnsafeRawBufferPointer) {
        guard !bytes.isEmpty else {
            self = .empty
            return
        }
        let block = Block(byteCount: bytes.count, pool: nil)
        block.memory.copyMemory(from: bytes)
        self.init(block, UnsafeRawPointer(block.memory.baseAddress), bytes.count)
    }

    /// A copy of some bytes.
    public init(copying bytes: [UInt8]) { self = bytes.withUnsafeBytes { SharedBytes(copying: $0) } }

    /// The size of the memory block this value holds.
    package var heldBytes: Int { block?.memory.count ?? 0 }

    /// Whether both are parts of the same memory.
    package func sharesMemory(with other: SharedBytes) -> Bool { block === other.block }

    /// Whether the range is empty.
    public var isEmpty: Bool { count == 0 }

    /// Lends the bytes for reading.
    @inline(__always)
    public func withUnsafeBytes<Result: ~Copyable>(
        _ body: (UnsafeRawBufferPointer) throws -> Result
    ) rethrows -> Result {
        defer { withExtendedLifetime(block) {} }
        return try body(UnsafeRawBufferPointer(start: start, count: count))
    }

    /// The first bytes, at most `length`; the memory is shared.
    public func prefix(_ length: Int) -> SharedBytes { SharedBytes(block, start, min(length, count)) }

    /// The bytes after the first `length`; the memory is shared.
    public func dropFirst(_ length: Int) -> SharedBytes {
        let dropped = min(length, count)
        return SharedBytes(block, start.map { $0 + dropped }, count - dropped)
    }

    /// Memory for one or several values.
    fileprivate final class Block {
        let memory: UnsafeMutableRawBufferPointer
        private let pool: BlockPool?

        init(byteCount: Int, pool: BlockPool?) {
            memory = pool?.takeFree() ?? .allocate(byteCount: byteCount, alignment: 4096)
            self.pool = pool
        }

        deinit { if pool?.giveBack(memory) != true { memory.deallocate() } }
    }

    /// Keeps a few blocks for reuse: memory touched before is several times faster to write to.
    fileprivate final class BlockPool: Sendable {
        private static let kept = 16
        // Memory in here has no user.
        private struct Free: @unchecked Sendable { var blocks: [UnsafeMutableRawBufferPointer] = [] }
        private let free = Mutex(Free())

        deinit { free.withLock { $0.blocks.forEach { $0.deallocate() } } }

        func takeFree() -> UnsafeMutableRawBufferPointer? { free.withLock { $0.blocks.popLast() } }

        func giveBack(_ memory: UnsafeMutableRawBufferPointer) -> Bool {
            free.withLock {
                guard $0.blocks.count < Self.kept else { return false }
                $0.blocks.append(memory)
                return true
            }
        }
    }

    /// Makes values by filling blocks of 1 MiB one after the other, several small values to a block. Used by one thread.
    public final class Maker {
        /// The size of a block in bytes, and the most one value holds.
        public static let blockSize = 1 << 20
        /// Less room than this at a block's end is not worth a call to fill it.
        private static let leastRoom = 64 << 10

        private let pool = BlockPool()
        private var block: Block?
        private var used = 0

        /// Nothing is allocated before the first value.
        public init() {}

        /// Lets `fill` write up to `wanted` bytes, fewer where the block has no room for more, and returns those it says
        /// it wrote.
        public func make(
            upTo wanted: Int, _ fill: (UnsafeMutableRawBufferPointer) throws -> Int
        ) rethrows -> SharedBytes {
            guard wanted > 0 else { return .empty }
            if block == nil || Self.blockSize - used < min(wanted, Self.leastRoom) {
                block = Block(byteCount: Self.blockSize, pool: pool)
                used = 0
            }
            guard let block else { return .empty }
            let room = UnsafeMutableRawBufferPointer(rebasing: block.memory[used...].prefix(wanted))
            let count = try fill(room)
            defer { used += count }
            return SharedBytes(block, UnsafeRawPointer(room.baseAddress), count)
        }
    }
}
