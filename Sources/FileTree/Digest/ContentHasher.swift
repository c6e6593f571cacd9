// SPDX-License-Identifier: Apache-2.0

import OpenSSL

/// Hashes the contents of one file so that holes and written zeros count the same.
///
/// The file is cut into blocks of 64 KiB. A block that holds anything but zeros contributes its number and its bytes; a
/// block of zeros contributes nothing. Pieces come in ascending order and may be cut anywhere.
final class ContentHasher {
    private static let blockSize = 65_536

    private let block = UnsafeMutableRawBufferPointer.allocate(byteCount: blockSize, alignment: 4096)
    private var hash = MessageDigest(.sha256)
    private var size: UInt64 = 0
    /// The number of the block that is put together in `block`, and whether there is one.
    private var index: UInt64 = 0
    private var isAssembling = false

    init() {}

    deinit { block.deallocate() }

    /// Starts a file of `size` bytes.
    func begin(size: UInt64) {
        hash = MessageDigest(.sha256)
        self.size = size
        isAssembling = false
    }

    /// Adds a piece within the file.
    func update(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) {
        var rest = bytes
        var offset = offset
        while !rest.isEmpty {
            let number = offset / UInt64(Self.blockSize)
            let inside = Int(offset % UInt64(Self.blockSize))
            let piece = UnsafeRawBufferPointer(rebasing: rest[..<min(rest.count, Self.blockSize - inside)])
            if isAssembling, number != index { flush() }
            if inside == 0, piece.count == length(of: number), !isAssembling {
                add(piece, number)
            } else {
                if !isAssembling { start(number) }
                UnsafeMutableRawBufferPointer(rebasing: block[inside...]).copyMemory(from: piece)
            }
            offset += UInt64(piece.count)
            rest = UnsafeRawBufferPointer(rebasing: rest[piece.count...])
        }
    }

    /// Ends the file.
    func finish() -> Hash {
        if isAssembling { flush() }
        return Hash(hash.finalize())
    }

    private func length(of number: UInt64) -> Int {
        Int(min(UInt64(Self.blockSize), size - number * UInt64(Self.blockSize)))
    }

    private func start(_ number: UInt64) {
        index = number
        isAssembling = true
        block.initializeMemory(as: UInt8.self, repeating: 0)
    }

    private func flush() {
        isAssembling = false
        add(UnsafeRawBufferPointer(rebasing: block[..<length(of: index)]), index)
    }

    private func add(_ bytes: UnsafeRawBufferPointer, _ number: UInt64) {
        guard !bytes.isZero else { return }
        withUnsafeBytes(of: number.bigEndian) { hash.update(bufferPointer: $0) }
        hash.update(bufferPointer: bytes)
    }
}

extension UnsafeRawBufferPointer {
    /// Whether every byte is zero. Other contents are mostly told by their first word.
    package var isZero: Bool {
        let words = count / 8
        for word in 0..<words where loadUnaligned(fromByteOffset: word * 8, as: UInt64.self) != 0 { return false }
        return self[(words * 8)...].allSatisfy { $0 == 0 }
    }
}
