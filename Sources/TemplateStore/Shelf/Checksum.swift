// SPDX-License-Identifier: Apache-2.0

import FileTree
import FoundationEssentials
import LXCCore
import OpenSSL
import StoreFiles

/// A checksum of an archive as CloudStack writes it: `{SHA-256}hex`, or bare hexadecimal digits for MD5.
public struct Checksum: Hashable, Sendable, CustomStringConvertible {
    /// The algorithms, by Java's names.
    public enum Algorithm: String, CaseIterable, Hashable, Sendable {
        /// MD5: proves nothing against an attacker, and is what CloudStack's templates have.
        case md5 = "MD5"
        /// SHA-1, with the same reserve.
        case sha1 = "SHA-1"
        /// SHA-256.
        case sha256 = "SHA-256"
        /// SHA-384.
        case sha384 = "SHA-384"
        /// SHA-512.
        case sha512 = "SHA-512"

        /// The number of hexadecimal digits of a checksum.
        public var digits: Int {
            switch self {
            case .md5: 32
            case .sha1: 40
            case .sha256: 64
            case .sha384: 96
            case .sha512: 128
            }
        }

        fileprivate var messageDigest: MessageDigest.Algorithm {
            switch self {
            case .md5: .md5
            case .sha1: .sha1
            case .sha256: .sha256
            case .sha384: .sha384
            case .sha512: .sha512
            }
        }
    }

    /// The algorithm.
    public let algorithm: Algorithm
    /// The hexadecimal digits in lower case.
    public let digits: String

    /// Reads `{ALGORITHM}hex`, or bare digits for MD5.
    ///
    /// - Throws: `LXCError` `invalidArgument` for an unknown algorithm or a wrong number of digits.
    public init(parsing text: String) throws {
        var algorithm = Algorithm.md5
        var digits = text[...]
        if text.hasPrefix("{"), let end = text.firstIndex(of: "}") {
            let name = text[text.index(after: text.startIndex)..<end].uppercased()
            guard let known = Algorithm.allCases.first(where: { [$0.rawValue, "\($0)".uppercased()].contains(name) })
            else {
                throw LXCError(
                    .invalidArgument,
                    "\"\(name.escapedForDisplay)\" is not a checksum algorithm; use one of "
                        + Algorithm.allCases.map(\.rawValue).joined(separator: ", "))
            }
            algorithm = known
            digits = text[text.index(after: end)...]
        }
        guard digits.utf8.count == algorithm.digits, digits.utf8.allSatisfy(\.isHexadecimalDigit) else {
            throw LXCError(
                .invalidArgument,
                "\"\(text.escapedForDisplay)\" is not a checksum: \(algorithm.rawValue) has \(algorithm.digits) "
                    + "hexadecimal digits")
        }
        self.algorithm = algorithm
        self.digits = digits.lowercased()
    }

    init(_ algorithm: Algorithm, digest: some Sequence<UInt8>) {
        self.algorithm = algorithm
        digits = digest.hexadecimal
    }

    /// `{ALGORITHM}hex`.
    public var description: String { "{\(algorithm.rawValue)}\(digits)" }

    /// The checksum of a file's bytes. Blocks.
    static func compute(
        _ algorithm: Algorithm, of file: any StoredFile, _ cancellation: Cancellation
    ) throws -> Checksum {
        var digest = MessageDigest(algorithm.messageDigest)
        let file = try file.open()
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
        defer { buffer.deallocate() }
        var offset: UInt64 = 0
        while case let count = try file.read(into: buffer, at: offset), count > 0 {
            try cancellation.check()
            digest.update(bufferPointer: UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            offset += UInt64(count)
        }
        return Checksum(algorithm, digest: digest.finalize())
    }
}

extension UUID {
    /// The name-based UUID (version 3) that Java's `UUID.nameUUIDFromBytes` makes.
    init(javaNameBytes name: some Sequence<UInt8>) {
        var bytes = MessageDigest.hash(data: Array(name), with: .md5)
        bytes[6] = bytes[6] & 0x0F | 0x30
        bytes[8] = bytes[8] & 0x3F | 0x80
        self = bytes.withUnsafeBytes { UUID(uuid: $0.loadUnaligned(as: uuid_t.self)) }
    }
}
