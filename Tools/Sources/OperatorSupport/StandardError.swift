// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Standard error, for what a program says of itself.
package enum StandardError {
    /// Writes the text at once; what cannot be written is lost, since there is no other place to say so.
    package static func write(_ text: String) { write(Array(text.utf8)) }

    /// Writes the bytes at once.
    package static func write(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
            guard count >= 0 || errno == EINTR else { return }
            rest = rest.dropFirst(max(count, 0))
        }
    }
}
