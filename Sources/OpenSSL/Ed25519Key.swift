// SPDX-License-Identifier: Apache-2.0

import COpenSSL

/// An Ed25519 key pair (RFC 8032).
package struct Ed25519Key: Sendable {
    /// The private key: 32 random bytes.
    package let seed: [UInt8]
    /// The public key: 32 bytes.
    package let publicKey: [UInt8]

    /// Creates a new key pair.
    package init() {
        var generator = SystemRandomNumberGenerator()
        let seed = (0..<Self.size).map { _ in UInt8.random(in: 0 ... .max, using: &generator) }
        self.seed = seed
        publicKey = Self.publicKey(of: seed)
    }

    /// Creates a key pair from its private key; nil unless it has 32 bytes.
    package init?(seed: [UInt8]) {
        guard seed.count == Self.size else { return nil }
        self.seed = seed
        publicKey = Self.publicKey(of: seed)
    }

    private static let size = 32

    private static func publicKey(of seed: [UInt8]) -> [UInt8] {
        guard let key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nil, seed, seed.count) else {
            preconditionFailure("OpenSSL's default provider lacks Ed25519")
        }
        defer { EVP_PKEY_free(key) }
        return [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            count = size
            precondition(EVP_PKEY_get_raw_public_key(key, buffer.baseAddress, &count) == 1 && count == size)
        }
    }
}
