// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
package import LXCCore

extension FileLock {
    /// Runs `body` holding the lock of a name in a file, waiting for it without a time limit.
    ///
    /// - Throws: as ``tryHold(_:in:_:pool:_:)``; `CancellationError` when cancelled while waiting.
    package static func hold<Value>(
        _ name: String, in file: String, _ mode: Mode, pool: BlockingPool, _ body: () async throws -> Value
    ) async throws -> Value {
        let release = try await wait(for: name, mode) { name, mode -> Release? in
            guard let descriptor = try await pool.run({ _ in try lockByte(of: name, in: file, mode) }) else {
                return nil
            }
            return { _ = close(descriptor) }
        }
        return try await run(body, thenOn: pool, release)
    }

    /// Runs `body` holding the lock of a name in an existing file, or returns nil immediately while another holder
    /// excludes this one.
    ///
    /// The lock is one byte of the file, chosen by the name's hash, so that nothing has to be made: it can be taken on a
    /// full file system. Two names of one hash, of 2⁶², exclude each other needlessly. The file must never be replaced.
    ///
    /// - Throws: what `body` throws; ``LXCError`` `notFound` without the file, `io`.
    package static func tryHold<Value>(
        _ name: String, in file: String, _ mode: Mode, pool: BlockingPool, _ body: () async throws -> Value
    ) async throws -> Value? {
        guard let descriptor = try await pool.run({ _ in try lockByte(of: name, in: file, mode) }) else { return nil }
        return try await run(body, thenOn: pool) { _ = close(descriptor) }
    }

    private static func lockByte(of name: String, in file: String, _ mode: Mode) throws -> CInt? {
        let isExclusive = mode == .exclusive
        if !isExclusive {
            // A waiter for the exclusive lock keeps new sharers out.
            guard let gate = try lock(gate(of: name), in: file, isExclusive: false) else { return nil }
            close(gate)
        }
        return try lock(name, in: file, isExclusive: isExclusive)
    }

    private static func lock(_ name: String, in file: String, isExclusive: Bool) throws -> CInt? {
        let access = isExclusive ? O_RDWR : O_RDONLY
        let descriptor = open(file, access | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else { throw LXCError.lastSystemCall("open", "open the file of locks \(file)") }
        guard clinux_try_lock_byte(descriptor, offset(of: name), isExclusive ? 1 : 0) != 0 else { return descriptor }
        let number = errno
        close(descriptor)
        if number == EAGAIN || number == EACCES { return nil }
        throw LXCError.systemCall("fcntl", errno: number, "take the lock of \(name) in \(file)")
    }

    /// FNV-1a: the same in every process and on every host.
    private static func offset(of name: String) -> Int64 {
        let hash = name.utf8.reduce(14_695_981_039_346_656_037 as UInt64) { ($0 ^ UInt64($1)) &* 1_099_511_628_211 }
        return Int64(hash >> 2)
    }
}
