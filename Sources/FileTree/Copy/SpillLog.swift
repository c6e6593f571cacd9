// SPDX-License-Identifier: Apache-2.0

import LXCCore

/// Texts one after the other, found again by where they begin; only the last are in memory once there are many.
struct SpillLog {
    /// The number of bytes kept in memory.
    private static let memory = 4 << 20
    /// The number of bytes read while the length is unknown.
    private static let guess = 512
    private static let headerSize = 4

    private var file: SpillFile?
    private var stored: UInt64 = 0
    private var tail: [UInt8] = []

    /// No texts.
    init() {}

    /// The offset of the next text.
    var end: UInt64 { stored + UInt64(tail.count) }

    /// Adds a text of less than 4 GiB and returns where it begins.
    @discardableResult
    mutating func append(_ text: [UInt8]) throws -> UInt64 {
        let start = end
        withUnsafeBytes(of: UInt32(truncatingIfNeeded: text.count)) { tail.append(contentsOf: $0) }
        tail += text
        if tail.count >= Self.memory {
            let file = try self.file ?? SpillFile()
            self.file = file
            try tail.withUnsafeBytes { _ = try file.append($0) }
            stored += UInt64(tail.count)
            tail.removeAll(keepingCapacity: true)
        }
        return start
    }

    /// The text that begins at `offset`, and where the next one does.
    func text(at offset: UInt64) throws -> (text: [UInt8], next: UInt64) {
        let text = try offset < stored ? storedText(at: offset) : tailText(at: Int(offset - stored))
        return (text, offset + UInt64(Self.headerSize + text.count))
    }

    private func tailText(at start: Int) -> [UInt8] {
        tail.withUnsafeBytes { bytes in
            let count = Int(bytes.loadUnaligned(fromByteOffset: start, as: UInt32.self))
            return Array(bytes[(start + Self.headerSize)...].prefix(count))
        }
    }

    private func storedText(at offset: UInt64) throws -> [UInt8] {
        guard let file else { throw SpillFailure.cut }
        var text: [UInt8] = []
        let missing = try withUnsafeTemporaryAllocation(byteCount: Self.guess, alignment: 8) { room in
            let read = try file.read(into: room, at: offset)
            guard read >= Self.headerSize else { throw SpillFailure.cut }
            let count = Int(room.load(as: UInt32.self))
            text.reserveCapacity(count)
            text += room[Self.headerSize..<min(read, Self.headerSize + count)]
            return count - text.count
        }
        guard missing > 0 else { return text }
        let start = offset + UInt64(Self.headerSize + text.count)
        let rest = try [UInt8](unsafeUninitializedCapacity: missing) { room, count in
            count = try file.read(into: UnsafeMutableRawBufferPointer(room), at: start)
        }
        guard rest.count == missing else { throw SpillFailure.cut }
        return text + rest
    }
}
