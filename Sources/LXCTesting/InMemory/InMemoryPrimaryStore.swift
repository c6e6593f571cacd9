// SPDX-License-Identifier: Apache-2.0

public import FileTree
import FoundationEssentials
import Glibc
public import LXCCore
public import LinuxSystem
public import PrimaryStore

/// A primary store that keeps its trees in memory, for unit tests of programs that use one.
///
/// It does what `PrimaryStore` documents, with real trees and owners; only ``hostPath(of:)`` names
/// directories that do not exist.
public actor InMemoryPrimaryStore: PrimaryStore {
    /// Names the pool.
    public nonisolated let id: PoolID

    private struct Template {
        var stored: StoredTemplate
        var tree: MemoryTree
    }

    private struct Volume {
        var stored: StoredVolume
        var tree: MemoryTree
        var lease: VolumeLease?
    }

    private let total: ByteCount
    private let pool: BlockingPool
    private var templates: [TemplateID: Template] = [:]
    private var volumes: [VolumeID: Volume] = [:]
    private var faults = FaultQueue()
    private var turns = Turns<UUID>()

    /// An empty store.
    ///
    /// - Parameters:
    ///   - id: names the pool.
    ///   - capacity: the maximum number of bytes of file contents; beyond that it is full, like a disk.
    ///   - pool: threads on which trees are copied.
    public init(id: PoolID = .random(), capacity: ByteCount = .gibibytes(1), pool: BlockingPool = .shared) {
        self.id = id
        total = capacity
        self.pool = pool
    }

    // MARK: For the test

    /// Makes the next call throw `error`. Called several times, as many calls do.
    public func failNext(with error: any Error) { faults.add(error) }

    /// The tree of a volume, with the owners on the host; nil if there is none.
    public func tree(of volume: VolumeID) -> MemoryTree? { volumes[volume]?.tree }

    /// The tree of a template; nil if there is none.
    public func tree(of template: TemplateID) -> MemoryTree? { templates[template]?.tree }

    // MARK: PrimaryStore

    /// The given capacity, and the rest of it.
    public func capacity() throws -> StoreCapacity {
        try faults.check()
        return StoreCapacity(total: total, available: available)
    }

    /// The templates and volumes.
    public func contents() throws -> StoreContents {
        try faults.check()
        return StoreContents(
            templates: templates.values.map(\.stored).sorted { $0.id < $1.id },
            volumes: volumes.values.map(\.stored).sorted { $0.id < $1.id })
    }

    /// Copies the origin's tree to memory; the second caller waits and gets the first's.
    public func installTemplate(
        _ id: TemplateID, from origin: any TreeOrigin, expecting expected: TreeDigest?, limits: TreeLimits,
        progress: ProgressHandler?
    ) async throws -> StoredTemplate {
        try faults.check()
        return try await inTurn(id.uuid) {
            if let present = templates[id] {
                try Self.check(present.stored.digest, against: expected, of: "the installed template \(id)")
                return present.stored
            }
            guard volumes[VolumeID(id.uuid)] == nil else {
                throw LXCError(.alreadyExists, "\(id) is a volume of pool \(self.id), not a template")
            }
            var options = TreeCopyOptions()
            options.limits = limits
            let (summary, tree) = try await copy(origin, "template \(id)", options, progress)
            try Self.check(summary.digest, against: expected, of: origin.description)
            let stored = StoredTemplate(
                id: id, digest: summary.digest, entries: summary.counts.total,
                logicalSize: summary.logicalBytes, created: Self.now)
            templates[id] = Template(stored: stored, tree: tree)
            return stored
        }
    }

    /// Memory does not change: the tree is as installed.
    public func verifyTemplate(
        _ id: TemplateID, progress: ProgressHandler?
    ) async throws -> [TreeManifest.Difference] {
        try faults.check()
        guard templates[id] != nil else {
            throw LXCError(.notFound, "template \(id) is not installed in pool \(self.id)")
        }
        return []
    }

    /// Forgets a template.
    public func deleteTemplate(_ id: TemplateID) async throws {
        try faults.check()
        try await inTurn(id.uuid) {
            if let dependent = volumes.values.first(where: { $0.stored.template == id }) {
                throw LXCError(.inUse, "template \(id) is the base of volume \(dependent.stored.id); delete that first")
            }
            templates[id] = nil
        }
    }

    /// Copies a template's tree, owners mapped.
    public func createVolume(
        _ id: VolumeID, from template: TemplateID, idMap: IDMap?, progress: ProgressHandler?
    ) async throws -> StoredVolume {
        try faults.check()
        return try await inTurn(id.uuid) {
            guard volumes[id] == nil, templates[TemplateID(id.uuid)] == nil else {
                throw LXCError(.alreadyExists, "there is an object \(id) in pool \(self.id) already")
            }
            guard let base = templates[template] else {
                throw LXCError(.notFound, "template \(template) is not installed in pool \(self.id)")
            }
            var options = TreeCopyOptions()
            options.destinationMap = idMap
            let (summary, tree) = try await copy(base.tree, "volume \(id)", options, progress)
            guard templates[template] != nil else {
                throw LXCError(.notFound, "template \(template) was deleted while volume \(id) was made")
            }
            let stored = StoredVolume(
                id: id, template: template, idMap: idMap, entries: summary.counts.total,
                logicalSize: summary.logicalBytes, created: Self.now)
            volumes[id] = Volume(stored: stored, tree: tree)
            return stored
        }
    }

    /// Forgets a volume.
    public func deleteVolume(_ id: VolumeID) async throws {
        try faults.check()
        try await inTurn(id.uuid) {
            if let lease = volumes[id]?.lease, !lease.hasEnded(at: Date()) { throw lease.conflict }
            volumes[id] = nil
        }
    }

    /// `/in-memory/<pool>/<volume>`, which is no directory of any host.
    public func hostPath(of volume: VolumeID) throws -> String {
        try faults.check()
        guard volumes[volume] != nil else { throw missing(volume) }
        return "/in-memory/\(id)/\(volume)"
    }

    /// An empty directory: the files of a tree in memory have no descriptors.
    public func root(of volume: VolumeID) async throws -> ConfinedRoot {
        _ = try hostPath(of: volume)
        let path = FileManager.default.temporaryDirectory.appending(path: "in-memory-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        defer { rmdir(path) }
        return try ConfinedRoot(path: path, shown: "volume \(volume)")
    }

    /// The recorded lease.
    public func lease(on volume: VolumeID) throws -> VolumeLease? {
        try faults.check()
        return volumes[volume]?.lease
    }

    /// All that was noted.
    public func leases() throws -> [VolumeLease] {
        try faults.check()
        return volumes.values.compactMap(\.lease).sorted { "\($0.volume)" < "\($1.volume)" }
    }

    /// Notes the holder.
    public func acquireLease(
        on volume: VolumeID, for holder: String, use: String?, lasting duration: Duration?
    ) throws -> VolumeLease {
        try faults.check()
        guard let present = volumes[volume] else { throw missing(volume) }
        let lease = try VolumeLease.succeeding(
            present.lease, on: volume, for: holder, use: use, now: Date(), lasting: duration)
        volumes[volume]?.lease = lease
        return lease
    }

    /// Notes until when, if it is the holder.
    public func renewLease(
        on volume: VolumeID, for holder: String, lasting duration: Duration?
    ) throws -> VolumeLease {
        try faults.check()
        guard let lease = volumes[volume]?.lease else { throw VolumeLease.missing(on: volume, for: holder) }
        let renewed = try lease.renewed(by: holder, now: Date(), lasting: duration)
        volumes[volume]?.lease = renewed
        return renewed
    }

    /// Forgets the holder, if it is the same lease still.
    public func releaseLease(_ lease: VolumeLease) throws {
        try faults.check()
        if volumes[lease.volume]?.lease?.isSame(as: lease) == true { volumes[lease.volume]?.lease = nil }
    }

    /// Forgets the holder, whoever it is.
    public func breakLease(on volume: VolumeID) throws -> Bool {
        try faults.check()
        defer { volumes[volume]?.lease = nil }
        return volumes[volume]?.lease != nil
    }

    /// Nothing is ever left behind in memory.
    public func collectGarbage() throws -> Int {
        try faults.check()
        return 0
    }

    // MARK: Details

    private var available: ByteCount {
        let sizes = templates.values.map(\.stored.logicalSize) + volumes.values.map(\.stored.logicalSize)
        let used = sizes.reduce(0) { $0 + ($1?.bytes ?? 0) }
        return ByteCount(total.bytes - min(total.bytes, used))
    }

    /// Whole seconds, as the stores on disk keep them.
    private static var now: Date { Date(timeIntervalSince1970: Date().timeIntervalSince1970.rounded(.down)) }

    private func copy(
        _ origin: any TreeOrigin, _ name: String, _ options: TreeCopyOptions, _ progress: ProgressHandler?
    ) async throws -> (TreeSummary, MemoryTree) {
        var options = options
        options.requiresSafeRoot = true
        let destination = MemoryTreeDestination(name)
        let summary = try await TreeCopy.run(
            from: origin, to: destination, options: options, pool: pool, progress: progress)
        try Task.checkCancellation()
        guard let tree = destination.tree else { throw LXCError(.io, "the copy to \(name) ended without a tree") }
        guard summary.logicalBytes <= available else {
            throw LXCError.systemCall("write", errno: ENOSPC, "store \(name)")
        }
        return (summary, tree)
    }

    private static func check(_ digest: TreeDigest?, against expected: TreeDigest?, of what: String) throws {
        guard let expected, digest != expected else { return }
        throw LXCError(
            .corrupt, "\(what) has the tree digest \(digest?.description ?? "-"), not the expected \(expected)")
    }

    private func missing(_ volume: VolumeID) -> LXCError {
        LXCError(.notFound, "there is no volume \(volume) in pool \(id)")
    }

    private func inTurn<Value: Sendable>(_ name: UUID, _ body: () async throws -> Value) async throws -> Value {
        if !turns.take(name) {
            await withCheckedContinuation { turns.wait(name, $0) }
        }
        defer { turns.end(name) }
        return try await body()
    }
}
