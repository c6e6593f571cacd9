// SPDX-License-Identifier: Apache-2.0

import COpenSSL

/// A message digest computed piece by piece by OpenSSL, which uses the processor's own instructions where it has them.
///
/// Copies are independent of each other.
package struct MessageDigest: Sendable {
    /// The algorithms checksums and digests of this package are made with.
    package enum Algorithm: String, CaseIterable, Sendable {
        /// MD5 (RFC 1321). Not collision resistant: for CloudStack's checksums and Java's name-based UUIDs alone.
        case md5 = "MD5"
        /// SHA-1 (FIPS 180-4). Not collision resistant: for CloudStack's checksums alone.
        case sha1 = "SHA1"
        /// SHA-256 (FIPS 180-4).
        case sha256 = "SHA256"
        /// SHA-384 (FIPS 180-4).
        case sha384 = "SHA384"
        /// SHA-512 (FIPS 180-4).
        case sha512 = "SHA512"
    }

    private var context: DigestContext

    /// Creates a digest of no bytes.
    package init(_ algorithm: Algorithm) { context = DigestContext(algorithm) }

    /// Appends bytes.
    package mutating func update(bufferPointer bytes: UnsafeRawBufferPointer) {
        if !isKnownUniquelyReferenced(&context) { context = DigestContext(copying: context) }
        context.update(bytes)
    }

    /// Appends bytes.
    package mutating func update(data bytes: [UInt8]) { bytes.withUnsafeBytes { update(bufferPointer: $0) } }

    /// The digest of the bytes appended so far, which may be continued.
    package func finalize() -> [UInt8] { DigestContext(copying: context).finish() }

    /// The digest of these bytes.
    package static func hash(data bytes: [UInt8], with algorithm: Algorithm) -> [UInt8] {
        let context = DigestContext(algorithm)
        bytes.withUnsafeBytes { context.update($0) }
        return context.finish()
    }
}
