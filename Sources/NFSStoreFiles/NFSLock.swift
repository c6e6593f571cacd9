// SPDX-License-Identifier: Apache-2.0

import FileTree
import FoundationEssentials
import Glibc
import LXCCore
import LinuxSystem
import NFSClient
import StoreFiles
import Synchronization

/// A lock made of files in a directory of an NFS server, held exclusively by one task of one process of one host, or
/// shared by several. It needs no lock service (NLM), which many servers do not offer.
///
/// `<name>.x` is the exclusive holder's file, `<name>.s.<random>` a sharer's. A caller first makes its own file and
/// then looks for others', so that of two that exclude each other at most one continues. A holder touches its file
/// every ``renewal``; a file not touched for ``lifetime``, by the server's clock alone, or whose process no longer
/// exists on this host, is stale. A stale file is taken over by emptying it on the condition that it has not changed
/// (RFC 1813, sattrguard3): of several callers one succeeds, and never against a holder that renews. The new holder
/// then signs it; an empty file is never stale by its contents.
struct NFSLock {
    /// The time after which an untouched file no longer excludes others.
    static let lifetime: TimeInterval = 45
    /// The interval at which a holder touches its file; several fit into ``lifetime``.
    static let renewal: Duration = .seconds(10)
    /// The interval between two checks of a waiter.
    private static let pause = Duration.milliseconds(50)

    private let client: NFSClient
    private let directory: NFSHandle
    private let name: String
    private let holder: NFSLockHolder

    init(_ client: NFSClient, _ directory: NFSHandle, _ name: String, _ holder: NFSLockHolder) {
        self.client = client
        self.directory = directory
        self.name = name
        self.holder = holder
    }

    private var exclusiveName: [UInt8] { Array("\(name).x".utf8) }
    private var sharedPrefix: [UInt8] { Array("\(name).s.".utf8) }

    /// Runs `body` holding the lock, waiting for it without a time limit. While it waits for sharers, no others can
    /// join them.
    func hold<Value>(_ mode: StoreLock.Mode, _ body: (StoreLock) async throws -> Value) async throws -> Value {
        while true {
            if let value = try await tryHold(mode, waitsForSharers: true, body) { return value }
            try await Task.sleep(for: Self.pause)
        }
    }

    /// Runs `body` holding the lock, or returns nil immediately while another holder excludes this one.
    func tryHold<Value>(
        _ mode: StoreLock.Mode, waitsForSharers: Bool = false, _ body: (StoreLock) async throws -> Value
    ) async throws -> Value? {
        guard let file = try await makeFileOrLeaveNone(mode) else { return nil }
        let renewing = Task { try await file.renew() }
        do {
            guard try await isEnough(mode, file, waitsForSharers) else {
                renewing.cancel()
                try await file.release()
                return nil
            }
        } catch {
            renewing.cancel()
            await withoutCancellation { try? await file.release() }
            throw error
        }
        let value: Value
        do {
            value = try await body(StoreLock(isTakenOver: file.isTakenOver) { try await file.confirm() })
        } catch {
            renewing.cancel()
            // The caller has to know of the failure of `body` first.
            await withoutCancellation { try? await file.release() }
            throw error
        }
        renewing.cancel()
        try await withoutCancellation { try await file.release() }
        return value
    }

    /// Makes the file of a mode. A cancelled caller waits no longer, and a file made for it afterwards is removed:
    /// unsigned, it would exclude others for ``lifetime``.
    private func makeFileOrLeaveNone(_ mode: StoreLock.Mode) async throws -> NFSLockFile? {
        try Task.checkCancellation()
        let results = AsyncThrowingStream<Void, any Error>.makeStream()
        let made = Mutex<(file: NFSLockFile?, isAbandoned: Bool)>((nil, false))
        Task {
            do {
                let file = try await makeFile(mode)
                let isAbandoned = made.withLock { made in
                    if !made.isAbandoned { made.file = file }
                    return made.isAbandoned
                }
                if isAbandoned { try await file?.release() }
                results.continuation.yield()
                results.continuation.finish()
            } catch {
                results.continuation.finish(throwing: error)
            }
        }
        for try await _ in results.stream where !Task.isCancelled { return made.withLock { $0.file } }
        let late = made.withLock { made in
            made.isAbandoned = true
            return made.file
        }
        if let late { Task { try await late.release() } }
        throw CancellationError()
    }

    private func makeFile(_ mode: StoreLock.Mode) async throws -> NFSLockFile? {
        switch mode {
        case .exclusive: try await make(exclusiveName, replacingStale: true)
        case .shared: try await make(sharedPrefix + Array(RandomName.make().utf8), replacingStale: false)
        }
    }

    /// Whether no other holder excludes the maker of this file.
    private func isEnough(_ mode: StoreLock.Mode, _ file: NFSLockFile, _ waitsForSharers: Bool) async throws -> Bool {
        guard mode == .exclusive else { return try await !isTaken(exclusiveName) }
        var hasWaited = false
        while try await hasSharers() {
            guard waitsForSharers else { return false }
            hasWaited = true
            try await Task.sleep(for: Self.pause)
        }
        if hasWaited { try await file.confirm() }
        return true
    }

    private func make(_ name: [UInt8], replacingStale: Bool) async throws -> NFSLockFile? {
        do {
            // Made exclusively: a reply that was lost can be asked for again.
            let made = try await client.create(name, in: directory, .exclusive(.random(in: .min ... .max)))
            let attributes =
                if let known = made.attributes { known } else { try await client.attributes(of: made.handle) }
            let file = NFSLockFile(client, directory, name, made.handle, holder, changed: attributes.changed)
            do {
                return try await file.claim() ? file : nil
            } catch {
                // Just made and unsigned: it would exclude everyone until it counts as stale.
                await withoutCancellation { [client, directory] in
                    try? await client.remove(name, in: directory, of: made.handle)
                }
                throw error
            }
        } catch let error as LXCError where error.code == .alreadyExists {
            guard replacingStale, let stale = try await staleFile(name) else { return nil }
            return try await stale.claim() ? stale : nil
        } catch let error as LXCError where error.code == .notFound {
            // It was removed before it was signed.
            return nil
        }
    }

    private func hasSharers() async throws -> Bool {
        for entry in try await client.list(directory) where entry.name.starts(with: sharedPrefix) {
            if try await isTaken(entry.name) { return true }
        }
        return false
    }

    /// Whether the file belongs to a live holder. A dead sharer's file is removed.
    private func isTaken(_ name: [UInt8]) async throws -> Bool {
        if let stale = try await staleFile(name) {
            if name.starts(with: sharedPrefix), try await stale.seize() { try await stale.remove() }
            return false
        }
        return try await lookUp(name) != nil
    }

    private func staleFile(_ name: [UInt8]) async throws -> NFSLockFile? {
        try await Self.staleFile(client, directory, name, holder)
    }

    private func lookUp(_ name: [UInt8]) async throws -> NFSObject? {
        try await Self.lookUp(client, directory, name)
    }

    // MARK: Stale files

    /// Removes a lock's file if its holder is gone.
    static func removeStale(
        _ client: NFSClient, _ directory: NFSHandle, _ name: [UInt8], _ holder: NFSLockHolder
    ) async throws {
        guard let stale = try await staleFile(client, directory, name, holder), try await stale.seize() else { return }
        try await stale.remove()
    }

    /// The file of that name if its holder is gone.
    private static func staleFile(
        _ client: NFSClient, _ directory: NFSHandle, _ name: [UInt8], _ holder: NFSLockHolder
    ) async throws -> NFSLockFile? {
        guard let found = try await lookUp(client, directory, name) else { return nil }
        do {
            let changed = try await client.attributes(of: found.handle).changed
            let file = NFSLockFile(
                client, directory, name, found.handle, holder, changed: changed, isTakenOver: true)
            let now = try await client.serverTime(touching: directory)
            if now.timeIntervalSince(changed.date) > lifetime { return file }
            let text = try await client.contents(of: found.handle, limit: 4_096)
            return NFSLockHolder(text).map(holder.knowsIsGone) == true ? file : nil
        } catch let error as LXCError where error.code == .notFound {
            // Its holder released it in the meantime.
            return nil
        }
    }

    private static func lookUp(
        _ client: NFSClient, _ directory: NFSHandle, _ name: [UInt8]
    ) async throws -> NFSObject? {
        do {
            return try await client.lookUp(name, in: directory)
        } catch let error as LXCError where error.code == .notFound {
            return nil
        }
    }
}

/// A lock's file that is ours, or may become so.
private final class NFSLockFile: Sendable {
    private let client: NFSClient
    private let directory: NFSHandle
    private let name: [UInt8]
    private let handle: NFSHandle
    /// The file's contents while it is ours: no two claims have the same.
    private let signature: [UInt8]
    /// The time of the last change seen or made by us: the file is ours as long as it does not change.
    private let changed: Mutex<Timestamp?>
    /// Whether it was taken over from another holder.
    let isTakenOver: Bool

    init(
        _ client: NFSClient, _ directory: NFSHandle, _ name: [UInt8], _ handle: NFSHandle, _ holder: NFSLockHolder,
        changed: Timestamp, isTakenOver: Bool = false
    ) {
        self.isTakenOver = isTakenOver
        self.client = client
        self.directory = directory
        self.name = name
        self.handle = handle
        signature = holder.signature(RandomName.make())
        self.changed = Mutex(changed)
    }

    /// Makes the file ours and signs it. False if it was changed or removed since it was seen.
    func claim() async throws -> Bool {
        guard try await seize() else { return false }
        do {
            let written = try await client.write(SharedBytes(copying: signature), to: handle, at: 0, .file)
            let attributes =
                if let known = written.attributes { known } else { try await client.attributes(of: handle) }
            changed.withLock { $0 = attributes.changed }
            return true
        } catch let error as LXCError where error.code == .notFound {
            return false
        }
    }

    /// Empties the file unless it was changed since it was seen: later callers find no holder in it that they could
    /// know to be dead, and earlier callers find it changed.
    func seize() async throws -> Bool {
        guard let known = changed.withLock({ $0 }) else { return false }
        // The time distinguishes our own change from others': a resent call whose first reply was lost meets its own.
        let mark = Timestamp(seconds: .random(in: 1...Int64(Int32.max)), nanoseconds: 0)
        let emptied = NFSNewAttributes(mode: 0o600, size: 0, modified: .at(mark))
        do {
            let seized = try await client.setAndRead(emptied, of: handle, ifUnchangedSince: known)
            changed.withLock { $0 = seized.changed }
            return true
        } catch let error as LXCError where error.isNotSynchronized {
            let found = try await client.attributes(of: handle)
            guard found.modified == mark, found.size == 0 else { return false }
            changed.withLock { $0 = found.changed }
            return true
        } catch let error as LXCError where error.code == .notFound {
            return false
        }
    }

    /// Touches the file periodically, as long as it is ours. A server that does not answer is asked again: only time
    /// ends the lock.
    func renew() async throws {
        while true {
            try await Task.sleep(for: NFSLock.renewal)
            if let isOurs = try? await touch(), !isOurs { return }
        }
    }

    private func touch() async throws -> Bool {
        guard let known = changed.withLock({ $0 }) else { return false }
        do {
            let touched = try await client.setAndRead(
                NFSNewAttributes(modified: .now), of: handle, ifUnchangedSince: known)
            changed.withLock { $0 = touched.changed }
            return true
        } catch let error as LXCError where error.isNotSynchronized {
            return try await look()
        } catch let error as LXCError where error.code == .notFound {
            changed.withLock { $0 = nil }
            return false
        }
    }

    /// Whether the file is ours although it was changed: by our own resent call, or by a program that changes others'
    /// files, such as a backup. A takeover empties the file first.
    private func look() async throws -> Bool {
        do {
            let found = try await client.attributes(of: handle).changed
            let isOurs = try await client.contents(of: handle, limit: 4_096) == signature
            changed.withLock { $0 = isOurs ? found : nil }
            return isOurs
        } catch let error as LXCError where error.code == .notFound {
            changed.withLock { $0 = nil }
            return false
        }
    }

    /// Touches the file, so that it stays ours for another ``NFSLock/lifetime``.
    ///
    /// - Throws: `LXCError` `inUse` if another holder has it now.
    func confirm() async throws {
        guard try await touch() else {
            throw LXCError(
                .inUse,
                "the lock \(String(decoding: name, as: UTF8.self)) was not renewed in time and went to another holder; check "
                    + "whether the server was out of reach, and try again")
        }
    }

    /// Removes the file if it is still ours.
    ///
    /// - Throws: `LXCError` `inUse` if another holder has it now: work done under the lock may have overlapped that
    ///   holder's.
    func release() async throws {
        try await confirm()
        try await remove()
    }

    /// Removes the file, but not another that has its name by then.
    func remove() async throws {
        do {
            try await client.remove(name, in: directory, of: handle)
        } catch let error as LXCError where error.code == .notFound {
            // It is gone already.
        }
    }
}

extension LXCError {
    /// Whether an NFS server refused a change because the object was changed before.
    fileprivate var isNotSynchronized: Bool { (cause as? NFSError)?.status == .notSynchronized }
}

/// The process that holds a lock.
struct NFSLockHolder: Equatable, Sendable {
    /// The kernel's boot: the same pid on another host, or after a restart, is another process.
    private let boot: String
    private let process: pid_t
    /// The start time of the process in clock ticks since the boot: pids are reused.
    private let started: String

    static let current = NFSLockHolder(
        boot: readLine("/proc/sys/kernel/random/boot_id"), process: getpid(), started: startTime(of: getpid()) ?? "")

    private init(boot: String, process: pid_t, started: String) {
        self.boot = boot
        self.process = process
        self.started = started
    }

    /// Reads the text of another holder's file; nil if it is still empty.
    init?(_ text: [UInt8]) {
        let parts = String(decoding: text, as: UTF8.self).split(separator: " ").map(String.init)
        guard parts.count >= 3, let process = pid_t(parts[1]) else { return nil }
        self.init(boot: parts[0], process: process, started: String(parts[2].trimmed))
    }

    /// The text a claim writes to the lock's file.
    func signature(_ claim: String) -> [UInt8] { Array("\(boot) \(process) \(started) \(claim)\n".utf8) }

    /// Whether the other is a process of this host that no longer exists.
    func knowsIsGone(_ other: NFSLockHolder) -> Bool {
        other.boot == boot && Self.startTime(of: other.process) != other.started
    }

    private static func startTime(of process: pid_t) -> String? {
        // The name in parentheses may hold anything; start time is the 20th field after it (proc_pid_stat(5)).
        let line = readLine("/proc/\(process)/stat")
        guard let end = line.lastIndex(of: ")") else { return nil }
        let fields = line[end...].split(separator: " ")
        return fields.count > 20 ? String(fields[20]) : nil
    }

    private static func readLine(_ path: String) -> String {
        let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
        return String(text.prefix { $0 != "\n" })
    }
}
