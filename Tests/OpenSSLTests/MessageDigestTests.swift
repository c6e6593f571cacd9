// SPDX-License-Identifier: Apache-2.0

import OpenSSL
import Testing

/// Against the vectors of the standards, and pieces against the whole.
@Suite struct MessageDigestTests {
    @Test(arguments: [
        (MessageDigest.Algorithm.md5, "900150983cd24fb0d6963f7d28e17f72"),
        (.sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            .sha384,
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"
        ),
        (
            .sha512,
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                + "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        ),
    ])
    func abc(_ algorithm: MessageDigest.Algorithm, _ digits: String) {
        #expect(hexadecimal(MessageDigest.hash(data: Array("abc".utf8), with: algorithm)) == digits)
        var pieces = MessageDigest(algorithm)
        for byte in "abc".utf8 { pieces.update(data: [byte]) }
        #expect(hexadecimal(pieces.finalize()) == digits)
    }

    @Test func nothing() {
        let digits = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        #expect(hexadecimal(MessageDigest.hash(data: [], with: .sha256)) == digits)
        #expect(hexadecimal(MessageDigest(.sha256).finalize()) == digits)
    }

    @Test func copiesAreIndependent() {
        var first = MessageDigest(.sha256)
        first.update(data: Array("a".utf8))
        var second = first
        second.update(data: Array("x".utf8))
        _ = first.finalize()
        first.update(data: Array("bc".utf8))
        #expect(first.finalize() == MessageDigest.hash(data: Array("abc".utf8), with: .sha256))
        #expect(second.finalize() == MessageDigest.hash(data: Array("ax".utf8), with: .sha256))
    }

    private func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}

/// Against RFC 8032, section 7.1.
@Suite struct Ed25519KeyTests {
    @Test func publicKeyIsTheStandards() throws {
        let key = try #require(
            Ed25519Key(seed: bytes("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")))
        #expect(key.publicKey == bytes("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"))
    }

    @Test func newKeysDiffer() { #expect(Ed25519Key().seed != Ed25519Key().seed) }

    @Test func seedsOfAnotherSizeAreRefused() {
        #expect(Ed25519Key(seed: []) == nil)
        #expect(Ed25519Key(seed: Array(repeating: 1, count: 33)) == nil)
    }

    private func bytes(_ digits: String) -> [UInt8] {
        let digits = Array(digits)
        return stride(from: 0, to: digits.count, by: 2).compactMap { UInt8(String(digits[$0..<($0 + 2)]), radix: 16) }
    }
}
