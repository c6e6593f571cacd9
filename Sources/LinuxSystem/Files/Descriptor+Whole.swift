// SPDX-License-Identifier: Apache-2.0

import Glibc

/// All of a stream, in one call.
extension Descriptor {
    /// Writes all bytes where the descriptor's position is; false with `errno` set.
    package static func writeAll(_ bytes: UnsafeRawBufferPointer, to target: CInt) -> Bool {
        var rest = bytes
        while !rest.isEmpty {
            let count = retrying { Glibc.write(target, rest.baseAddress, rest.count) }
            guard count > 0 else { return false }
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
        }
        return true
    }

    /// Reads to the end, or one byte beyond `limit`; nil with `errno` set.
    package static func readAll(_ source: CInt, limit: Int = .max) -> [UInt8]? {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while bytes.count <= limit {
            let room = limit == .max ? buffer.count : min(buffer.count, limit - bytes.count + 1)
            let count = retrying { Glibc.read(source, &buffer, room) }
            guard count >= 0 else { return nil }
            guard count > 0 else { break }
            bytes += buffer[..<count]
        }
        return bytes
    }
}
