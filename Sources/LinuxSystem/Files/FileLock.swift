// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
package import LXCCore

/// A lock named by a file, held by one task of one process on one host at a time, or shared by several.
///
/// It is an open-file-description lock, so it ends with its holder however that ends, and two tasks of one process
/// exclude each other as two processes do. The lock file is removed when the last holder releases the lock.
package enum FileLock {
    /// The other holders a holder excludes.
    package enum Mode: Sendable {
        /// Everyone.
        case exclusive
        /// Exclusive holders.
        case shared
    }

    private static let pause = Duration.milliseconds(50)

    /// Runs `body` holding the lock.
    ///
    /// - Parameters:
    ///   - path: the lock's file.
    ///   - mode: the other holders to exclude.
    ///   - patience: the time to wait for the lock; nil waits without a limit.
    ///   - pool: threads for the calls.
    ///   - body: runs with the lock held.
    /// - Returns: what `body` returns.
    /// - Throws: what `body` throws; `CancellationError` when cancelled while waiting; ``LXCError`` `timedOut` when the
    ///   lock stays taken for `patience`, `io`.
    package static func hold<Value>(
        _ path: String, _ mode: Mode = .exclusive, patience: Duration? = nil, pool: BlockingPool,
        _ body: () async throws -> Value
    ) async throws -> Value {
        let deadline = patience.map { ContinuousClock.now + $0 }
        let release = try await wait(for: path, mode) { path, mode -> Release? in
            if let deadline, let patience, ContinuousClock.now >= deadline {
                throw LXCError(
                    .timedOut, "another task or program has held the lock \(path.escapedForDisplay) for \(patience)")
            }
            guard let held = try await pool.run({ _ in try HeldLock(trying: path, mode, nil) }) else { return nil }
            return { held.release() }
        }
        return try await run(body, thenOn: pool, release)
    }

    /// Releases a lock that is held. Blocks.
    typealias Release = @Sendable () -> Void

    /// Waits until `take` acquires a lock; it returns `nil` while another holder excludes us.
    ///
    /// A succession of sharers would starve an exclusive waiter: while it waits it holds a second lock that no new
    /// sharer passes.
    static func wait(
        for lock: String, _ mode: Mode, taking take: (String, Mode) async throws -> Release?
    ) async throws -> Release {
        if let held = try await take(lock, mode) { return held }
        guard mode == .exclusive else { return try await poll(lock, mode, take) }
        let gate = try await poll(gate(of: lock), .exclusive, take)
        defer { gate() }
        return try await poll(lock, mode, take)
    }

    private static func poll(
        _ lock: String, _ mode: Mode, _ take: (String, Mode) async throws -> Release?
    ) async throws -> Release {
        while true {
            if let held = try await take(lock, mode) { return held }
            try await Task.sleep(for: pause)
        }
    }

    /// Runs `body`, then releases the lock, also when `body` throws.
    static func run<Value>(
        _ body: () async throws -> Value, thenOn pool: BlockingPool, _ release: @escaping Release
    ) async throws -> Value {
        let result: Result<Value, any Error>
        do { result = .success(try await body()) } catch { result = .failure(error) }
        try await pool.run { _ in release() }
        return try result.get()
    }

    /// The lock an exclusive waiter holds while it waits.
    static func gate(of path: String) -> String { path + ".w" }

    /// The note of the lock's holder; `nil` if the lock is free or has no note.
    package static func note(of path: String) -> String? {
        guard let bytes = try? DurableFile.read(path, limit: 4_096), !bytes.isEmpty else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Runs `body` holding the lock, or returns nil immediately while another holder excludes this one.
    ///
    /// - Parameters:
    ///   - path: the lock's file.
    ///   - mode: the other holders to exclude.
    ///   - note: shown to excluded callers to name the holder; see ``note(of:)``.
    ///   - pool: threads for the calls.
    ///   - body: runs with the lock held.
    /// - Returns: what `body` returns; nil while another holder excludes this one.
    /// - Throws: what `body` throws; ``LXCError`` `io`.
    package static func tryHold<Value>(
        _ path: String, _ mode: Mode = .exclusive, note: String? = nil, pool: BlockingPool,
        _ body: () async throws -> Value
    ) async throws -> Value? {
        guard let held = try await pool.run({ _ in try HeldLock(trying: path, mode, note) }) else { return nil }
        return try await run(body, thenOn: pool) { held.release() }
    }
}

/// The open file of a lock that is held.
private struct HeldLock: Sendable {
    private let path: String
    private let descriptor: CInt

    init?(trying path: String, _ mode: FileLock.Mode, _ note: String?) throws {
        try requireNoNUL(path, "the path")
        if mode == .shared, Self.isHeld(FileLock.gate(of: path)) { return nil }
        let descriptor = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw LXCError.lastSystemCall("open", "open the lock \(path)") }
        guard Self.lock(descriptor, mode) == 0 else {
            let number = errno
            close(descriptor)
            if number == EAGAIN || number == EACCES { return nil }
            throw LXCError.systemCall("fcntl", errno: number, "take the lock \(path)")
        }
        // The holder before us removes the file: what we locked may no longer be the file of that name.
        var mine = stat()
        var named = stat()
        guard fstat(descriptor, &mine) == 0, lstat(path, &named) == 0, mine.st_ino == named.st_ino,
            mine.st_dev == named.st_dev
        else {
            close(descriptor)
            return nil
        }
        self.path = path
        self.descriptor = descriptor
        // For people alone: what cannot be written, on a full disk, is not missed.
        if let note, ftruncate(descriptor, 0) == 0 { _ = pwrite(descriptor, note, note.utf8.count, 0) }
    }

    /// Whether the lock is held exclusively. Without its file it is not.
    private static func isHeld(_ path: String) -> Bool {
        let descriptor = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return lock(descriptor, .shared) != 0
    }

    private static func lock(_ descriptor: CInt, _ mode: FileLock.Mode) -> CInt {
        switch mode {
        case .exclusive: clinux_try_lock(descriptor)
        case .shared: clinux_try_lock_shared(descriptor)
        }
    }

    func release() {
        // While others share the lock, they need the file as well. (A single holder has the lock exclusively already.)
        if clinux_try_lock(descriptor) == 0 { unlink(path) }
        close(descriptor)
    }
}
