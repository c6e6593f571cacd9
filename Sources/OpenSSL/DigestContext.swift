// SPDX-License-Identifier: Apache-2.0

import COpenSSL

/// Owns an `EVP_MD_CTX`.
///
/// OpenSSL's calls fail only without memory or with invalid arguments; neither can be recovered from here, so
/// both are preconditions.
final class DigestContext: @unchecked Sendable {
    // Not Sendable; `MessageDigest` writes to it only while it holds the one reference.
    private let context: OpaquePointer

    init(_ algorithm: MessageDigest.Algorithm) {
        context = Self.make()
        precondition(EVP_DigestInit_ex2(context, DigestMethods.shared[algorithm], nil) == 1, "EVP_DigestInit_ex2")
    }

    init(copying other: DigestContext) {
        context = Self.make()
        precondition(EVP_MD_CTX_copy_ex(context, other.context) == 1, "EVP_MD_CTX_copy_ex")
    }

    deinit { EVP_MD_CTX_free(context) }

    private static func make() -> OpaquePointer {
        guard let context = EVP_MD_CTX_new() else { preconditionFailure("EVP_MD_CTX_new: no memory") }
        return context
    }

    func update(_ bytes: UnsafeRawBufferPointer) {
        guard let start = bytes.baseAddress else { return }
        precondition(EVP_DigestUpdate(context, start, bytes.count) == 1, "EVP_DigestUpdate")
    }

    /// The digest. No bytes can be added afterwards.
    func finish() -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: Int(EVP_MAX_MD_SIZE)) { buffer, count in
            var size: UInt32 = 0
            precondition(EVP_DigestFinal_ex(context, buffer.baseAddress, &size) == 1, "EVP_DigestFinal_ex")
            count = Int(size)
        }
    }
}

/// The algorithms' implementations, looked up once because a look-up costs more than hashing a short name.
///
/// They come from a library context of their own: the host's OpenSSL configuration may allow approved algorithms alone
/// (FIPS), and CloudStack's checksums are MD5.
private struct DigestMethods: @unchecked Sendable {
    // Immutable after their creation and never freed: OpenSSL lets any number of threads use them.
    private let methods: [MessageDigest.Algorithm: OpaquePointer]

    static let shared = DigestMethods()

    private init() {
        let library = OSSL_LIB_CTX_new()
        methods = Dictionary(
            uniqueKeysWithValues: MessageDigest.Algorithm.allCases.compactMap { algorithm in
                EVP_MD_fetch(library, algorithm.rawValue, nil).map { (algorithm, $0) }
            })
    }

    subscript(algorithm: MessageDigest.Algorithm) -> OpaquePointer {
        guard let method = methods[algorithm] else {
            preconditionFailure("OpenSSL's default provider lacks \(algorithm.rawValue)")
        }
        return method
    }
}
