// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc
import LXCCore
import LinuxSystem
import PrimaryStore

/// The host-wide book of which host ids belong to which volume, regardless of the daemon, store or program that
/// assigned them.
///
/// A claim is a file named after the ids, so finding free ids reads only names, not records. It is written before the
/// volume is created: after a crash ids may be claimed needlessly but are never assigned twice. The book is on disk,
/// not in `/run`, because volumes outlive a host reboot.
struct HostIDBook: Sendable {
    /// The owner of a range of ids.
    struct Claim: Codable, Hashable {
        /// The pool of the volume.
        var pool: PoolID
        /// The volume whose files use the ids.
        var volume: VolumeID
        /// The container the volume was created for.
        var container: String
        /// The process that made the claim; while it runs, the volume may still be about to be created.
        var claimer: ProcessStamp
    }

    /// The ids of one claim file.
    typealias IDs = Range<UInt32>

    /// The book's directory, accessible to root only.
    let directory: String

    private var claims: String { "\(directory)/claims" }
    private var pools: String { "\(directory)/pools" }

    /// How long another program may hold the book, in which time it reads names and the records of one store.
    private static let patience = Duration.seconds(300)

    /// Runs `body` while no other program of the host holds the book.
    func hold<Value>(_ body: () async throws -> Value) async throws -> Value {
        try await work { try makeDirectories() }
        return try await FileLock.hold("\(directory)/lock", patience: Self.patience, pool: .shared, body)
    }

    /// File access blocks, so it never runs on a thread of the cooperative pool.
    private func work<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await BlockingPool.shared.run { _ in try body() }
    }

    private func makeDirectories() throws {
        try DurableFile.makeOwnDirectories(directory)
        try DurableFile.requireOwn(directory)
        for path in [claims, pools] { try DurableFile.makeDirectory(path, mode: 0o700) }
    }

    // MARK: Claims

    /// All claimed ids, in order.
    func claimed() async throws -> [IDs] {
        try await work { try DurableFile.list(claims).compactMap(Self.ids).sorted { $0.lowerBound < $1.lowerBound } }
    }

    /// The claim on a range of ids; `nil` if it no longer exists.
    func claim(of ids: IDs) async throws -> Claim? {
        guard let bytes = try await work({ try DurableFile.read(path(ids)) }) else { return nil }
        do {
            return try JSONDecoder().decode(Claim.self, from: Data(bytes))
        } catch {
            throw LXCError(
                .corrupt,
                "\(path(ids).escapedForDisplay) does not say whose the host ids \(Self.text(ids)) are; remove it if no "
                    + "container has them")
        }
    }

    /// Writes a claim. The caller must hold the book.
    func add(_ claim: Claim, on ids: IDs) async throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let bytes = try encoder.encode(claim)
        try await work { try DurableFile.write(bytes, to: path(ids)) }
    }

    /// Removes a claim. The caller must hold the book or own the ids.
    func remove(_ ids: IDs) async throws {
        try await work {
            guard unlink(path(ids)) == 0 || errno == ENOENT else {
                throw LXCError.lastSystemCall("unlink", "give back the host ids \(Self.text(ids))")
            }
        }
    }

    private func path(_ ids: IDs) -> String { "\(claims)/\(Self.text(ids))" }

    /// The first and the last id, such as `100000-165535`.
    static func text(_ ids: IDs) -> String { "\(ids.lowerBound)-\(ids.upperBound - 1)" }

    private static func ids(_ name: String) -> IDs? {
        let ends = name.split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count == 2, let first = UInt32(ends[0]), let last = UInt32(ends[1]), first <= last, last < .max
        else { return nil }
        return first..<(last + 1)
    }

    // MARK: Pools

    /// The place of a pool on this host: `nil` if the pool is not in the book, empty if its place is not known.
    func place(of pool: PoolID) async throws -> String? {
        try await work { try DurableFile.read("\(pools)/\(pool)").map { String(decoding: $0, as: UTF8.self) } }
    }

    /// Records a pool's place and that all ids in use in the pool are in the book.
    func note(_ pool: PoolID, at place: String) async throws {
        try await work { try DurableFile.write(place.utf8, to: "\(pools)/\(pool)") }
    }

    /// Whether a pool was removed from this host: its place has no directory, not even the empty one left by an
    /// unmounted file system.
    func isRemoved(_ pool: PoolID) async throws -> Bool {
        guard let place = try await place(of: pool), !place.isEmpty else { return false }
        return try await work {
            var status = stat()
            return lstat(place, &status) != 0 && (errno == ENOENT || errno == ENOTDIR)
        }
    }
}

/// Identifies one process for as long as the host runs; a pid alone can be reused.
struct ProcessStamp: Codable, Hashable {
    private var boot: String
    private var process: pid_t
    private var started: String

    /// This process.
    static var current: Self { Self(boot: bootID, process: getpid(), started: startTime(of: getpid()) ?? "") }

    /// Whether the process is still running.
    var isRunning: Bool { boot == Self.bootID && Self.startTime(of: process) == started }

    private static var bootID: String {
        let bytes = (try? DurableFile.read("/proc/sys/kernel/random/boot_id")).flatMap { $0 } ?? []
        return String(String(decoding: bytes, as: UTF8.self).trimmed)
    }

    /// The 22nd field of proc_pid_stat(5); the second, the name in parentheses, may contain any characters.
    private static func startTime(of process: pid_t) -> String? {
        guard let bytes = (try? DurableFile.read("/proc/\(process)/stat")).flatMap({ $0 }) else { return nil }
        let text = String(decoding: bytes, as: UTF8.self)
        guard let end = text.lastIndex(of: ")") else { return nil }
        let fields = text[end...].split(separator: " ")
        return fields.count > 20 ? String(fields[20]) : nil
    }
}
