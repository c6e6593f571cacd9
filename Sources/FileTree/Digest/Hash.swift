// SPDX-License-Identifier: Apache-2.0

import OpenSSL

/// 32 bytes, ordered bytewise.
struct Hash: Hashable, Comparable, BitwiseCopyable, Sendable {
    private let words: (UInt64, UInt64, UInt64, UInt64)

    init(_ digest: [UInt8]) {
        words = digest.withUnsafeBytes { Self.words(of: $0) }
    }

    init(of bytes: [UInt8]) { self.init(MessageDigest.hash(data: bytes, with: .sha256)) }

    /// The 32 bytes of a digest.
    init(_ digest: TreeDigest) {
        words = digest.bytes.withUnsafeBytes { Self.words(of: $0) }
    }

    private static func words(of bytes: UnsafeRawBufferPointer) -> (UInt64, UInt64, UInt64, UInt64) {
        let word = { UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: $0, as: UInt64.self)) }
        return (word(0), word(8), word(16), word(24))
    }

    /// No hash of anything: all zero.
    static let zero = Hash((0, 0, 0, 0))

    private init(_ words: (UInt64, UInt64, UInt64, UInt64)) { self.words = words }

    /// Lends the 32 bytes.
    func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        let ordered = (words.0.bigEndian, words.1.bigEndian, words.2.bigEndian, words.3.bigEndian)
        return try Swift.withUnsafeBytes(of: ordered, body)
    }

    /// The first 16 bytes as two numbers.
    var halves: (UInt64, UInt64) { (words.0, words.1) }

    /// The 32 bytes.
    var bytes: [UInt8] { withUnsafeBytes { Array($0) } }

    static func == (left: Hash, right: Hash) -> Bool { left.words == right.words }

    static func < (left: Hash, right: Hash) -> Bool { left.words < right.words }

    func hash(into hasher: inout Hasher) {
        hasher.combine(words.0)
        hasher.combine(words.1)
    }
}
