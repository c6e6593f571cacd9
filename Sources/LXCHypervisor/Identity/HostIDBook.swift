import FoundationEssentials
import Glibc
import LXCCore
import LinuxSystem
import PrimaryStore

/// The one book of a host that says which host ids belong to which volume, whatever daemon, store or program gave them.
///
/// A claim is a file named by the ids, so who looks for free ones reads names and no records, and it is written before the
/// volume is made: after a crash ids may be claimed for nothing, never given twice. The book is on disk and not in `/run`,
/// because volumes outlive the host's restart.
struct HostIDBook: Sendable {
    /// Whose ids they are.
    struct Claim: Codable, Hashable {
        /// The pool of the volume.
        var pool: PoolID
        /// The volume whose files have the ids.
        var volume: VolumeID
        /// The container the volume was made for.
        var container: String
        /// Who made the claim; as long as it runs, the volume may be about to come.
        var claimer: ProcessStamp
    }

    /// The ids of one claim file.
    typealias IDs = Range<UInt32>

    /// The book's directory, root's alone.
    let directory: String

    private var claims: String { "\(directory)/claims" }
    private var pools: String { "\(directory)/pools" }

    /// How long another program may hold the book: it reads names and the records of one store meanwhile.
    private static let patience = Duration.seconds(300)

    /// Runs `body` alone among all programs of the host.
    func hold<Value>(_ body: () async throws -> Value) async throws -> Value {
        try await work { try makeDirectories() }
        return try await FileLock.hold("\(directory)/lock", patience: Self.patience, pool: .shared, body)
    }

    /// Files block, so they are never touched on a thread of the cooperative pool.
    private func work<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await BlockingPool.shared.run { _ in try body() }
    }

    private func makeDirectories() throws {
        try DurableFile.makeOwnDirectories(directory)
        try DurableFile.requireOwn(directory)
        for path in [claims, pools] { try DurableFile.makeDirectory(path, mode: 0o700) }
    }

    // MARK: Claims

    /// All ids that are claimed, ordered.
    func claimed() async throws -> [IDs] {
        try await work { try DurableFile.list(claims).compactMap(Self.ids).sorted { $0.lowerBound < $1.lowerBound } }
    }

    /// Whose ids those of one claim are; nil where the claim is gone.
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

    /// Writes a claim. Only for who holds the book.
    func add(_ claim: Claim, on ids: IDs) async throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let bytes = try encoder.encode(claim)
        try await work { try DurableFile.write(bytes, to: path(ids)) }
    }

    /// Removes a claim. Only for who holds the book, or has the ids.
    func remove(_ ids: IDs) async throws {
        try await work {
            guard unlink(path(ids)) == 0 || errno == ENOENT else {
                throw LXCError.lastSystemCall("unlink", "give back the host ids \(Self.text(ids))")
            }
        }
    }

    private func path(_ ids: IDs) -> String { "\(claims)/\(Self.text(ids))" }

    /// `100000-165535`: the first and the last.
    static func text(_ ids: IDs) -> String { "\(ids.lowerBound)-\(ids.upperBound - 1)" }

    private static func ids(_ name: String) -> IDs? {
        let ends = name.split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count == 2, let first = UInt32(ends[0]), let last = UInt32(ends[1]), first <= last, last < .max
        else { return nil }
        return first..<(last + 1)
    }

    // MARK: Pools

    /// Where a pool is on this host: nil for one the book knows nothing of, empty for one whose place is not known.
    func place(of pool: PoolID) async throws -> String? {
        try await work { try DurableFile.read("\(pools)/\(pool)").map { String(decoding: $0, as: UTF8.self) } }
    }

    /// Notes that what a pool holds is in the book, and where the pool is.
    func note(_ pool: PoolID, at place: String) async throws {
        try await work { try DurableFile.write(place.utf8, to: "\(pools)/\(pool)") }
    }

    /// Whether a pool was removed from this host: where it was there is no directory, not even an empty one, as an
    /// unmounted file system leaves it.
    func isRemoved(_ pool: PoolID) async throws -> Bool {
        guard let place = try await place(of: pool), !place.isEmpty else { return false }
        return try await work {
            var status = stat()
            return lstat(place, &status) != 0 && (errno == ENOENT || errno == ENOTDIR)
        }
    }
}

/// Names one process for as long as the host runs, where its number alone can be another's later.
struct ProcessStamp: Codable, Hashable {
    private var boot: String
    private var process: pid_t
    private var started: String

    /// This process.
    static var current: Self { Self(boot: bootID, process: getpid(), started: startTime(of: getpid()) ?? "") }

    /// Whether the process runs.
    var isRunning: Bool { boot == Self.bootID && Self.startTime(of: process) == started }

    private static var bootID: String {
        let bytes = (try? DurableFile.read("/proc/sys/kernel/random/boot_id")).flatMap { $0 } ?? []
        return String(String(decoding: bytes, as: UTF8.self).trimmed)
    }

    /// The 22nd field of proc_pid_stat(5); the second, the name in parentheses, may hold anything.
    private static func startTime(of process: pid_t) -> String? {
        guard let bytes = (try? DurableFile.read("/proc/\(process)/stat")).flatMap({ $0 }) else { return nil }
        let text = String(decoding: bytes, as: UTF8.self)
        guard let end = text.lastIndex(of: ")") else { return nil }
        let fields = text[end...].split(separator: " ")
        return fields.count > 20 ? String(fields[20]) : nil
    }
}
