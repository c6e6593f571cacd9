// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore

/// Compresses the bytes of a tar archive into a file. Created by one thread and then used by another.
protocol ArchiveEncoder: AnyObject {
    /// Compresses bytes.
    func write(_ bytes: SharedBytes) throws
    /// Writes the bytes still held back.
    func finish() throws
}

/// Writes bytes as they are.
final class PlainEncoder: ArchiveEncoder {
    private static let blockSize = 256 << 10

    private let output: ArchiveFileOutput
    /// Headers and small files, collected: a call for each would cost more than the copy.
    private var small: [UInt8] = []

    /// Creates an encoder that writes to a file.
    init(_ output: ArchiveFileOutput) {
        self.output = output
        small.reserveCapacity(Self.blockSize)
    }

    func write(_ bytes: SharedBytes) throws {
        let isLarge = bytes.count >= Self.blockSize / 4
        if isLarge || bytes.count > Self.blockSize - small.count { try finish() }
        try bytes.withUnsafeBytes { bytes in
            if isLarge { try output.write(bytes) } else { small.append(contentsOf: bytes) }
        }
    }

    func finish() throws {
        try small.withUnsafeBytes { try output.write($0) }
        small.removeAll(keepingCapacity: true)
    }
}
