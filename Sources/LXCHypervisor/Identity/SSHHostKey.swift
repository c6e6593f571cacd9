// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import LXCCore
import OpenSSL

/// A new ed25519 host key in OpenSSH's formats (PROTOCOL.key of OpenSSH; RFC 8709).
package struct SSHHostKey {
    private static let type = Array("ssh-ed25519".utf8)

    private let key: Ed25519Key
    private let comment: String
    /// The check number that shows whether a private key was decrypted correctly; this key is not encrypted.
    private let check: UInt32

    /// Generates a new key.
    init(comment: String) {
        key = Ed25519Key()
        self.comment = comment
        check = .random(in: 0 ... .max)
    }

    /// Creates a host key from an existing seed.
    package init(seed: [UInt8], comment: String, check: UInt32) throws {
        guard let key = Ed25519Key(seed: seed) else {
            throw LXCError(.invalidArgument, "an ed25519 key has 32 bytes, not \(seed.count)")
        }
        self.key = key
        self.comment = comment
        self.check = check
    }

    /// The line of the `.pub` file.
    package var publicText: String { "ssh-ed25519 \(Data(publicBlob).base64EncodedString()) \(comment)\n" }

    /// The contents of the private key file.
    package var privateText: String {
        let publicKey = key.publicKey
        var secret = Self.number(check) + Self.number(check) + Self.string(Self.type) + Self.string(publicKey)
        secret += Self.string(key.seed + publicKey) + Self.string(Array(comment.utf8))
        var padding: UInt8 = 1
        while secret.count % 8 != 0 {
            secret.append(padding)
            padding += 1
        }
        let none = Array("none".utf8)
        let blob =
            Array("openssh-key-v1\0".utf8) + Self.string(none) + Self.string(none) + Self.string([]) + Self.number(1)
            + Self.string(publicBlob) + Self.string(secret)
        var lines = ["-----BEGIN OPENSSH PRIVATE KEY-----"]
        var rest = Substring(Data(blob).base64EncodedString())
        while !rest.isEmpty {
            lines.append(String(rest.prefix(70)))
            rest = rest.dropFirst(70)
        }
        return (lines + ["-----END OPENSSH PRIVATE KEY-----", ""]).joined(separator: "\n")
    }

    private var publicBlob: [UInt8] { Self.string(Self.type) + Self.string(key.publicKey) }

    private static func number(_ value: UInt32) -> [UInt8] { withUnsafeBytes(of: value.bigEndian, Array.init) }
    private static func string(_ bytes: [UInt8]) -> [UInt8] { number(UInt32(bytes.count)) + bytes }
}
